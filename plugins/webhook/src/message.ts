import { type EventType, type Notification, eventLines, eventsInBrief, singleLine } from "@wkfs/core";
import type { Format } from "./config.ts";

/** The body of a request, and the headers that belong to it. */
export interface Message {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Most events in a body of JSON: what does not fit is counted. */
const MOST_EVENTS = 1000;
/**
 * Most of a text, below what each service takes. Slack cuts at 40,000 characters and asks for no more than 4000; Discord refuses
 * more than 2000; ntfy makes a file of more than 4096 bytes; Teams refuses more than 28 KB, and some have seen it at 21.
 */
const LONGEST = { slack: 3900, discord: 1950, teams: 20_000, ntfy: 3900 } as const;
/** Room for the line that counts what is left out. */
const REST = 60;
/** What an administrator should look at. */
const URGENT: ReadonlySet<EventType> = new Set<EventType>(["healed", "failed"]);
const JSON_HEADERS = { "content-type": "application/json" } as const;

/** These events as the other side understands them. */
export function messageFor(format: Format, notification: Notification): Message {
  const { host, events } = notification;
  const title = singleLine(`wkfs on ${host.slice(0, 64)}: ${eventsInBrief(events)}`);
  const lines = events.flatMap(eventLines);
  switch (format) {
    case "json":
      return json(bodyOf(notification, title));
    case "slack": {
      const text = fitting([title, ...lines].map(asEntities), LONGEST.slack).join("\n");
      return json({ text, mrkdwn: false, unfurl_links: false, unfurl_media: false });
    }
    case "discord": {
      const content = fitting([title, ...lines].map(withoutMarkup), LONGEST.discord).join("\n");
      return json({ content, allowed_mentions: { parse: [] }, flags: SUPPRESS_EMBEDS });
    }
    case "teams":
      return json(
        cardOf(fitting([title, ...lines], LONGEST.teams, (line) => bytesOf(JSON.stringify(blockOf(line))) + 1)),
      );
    case "ntfy": {
      const urgent = events.some(({ type }) => URGENT.has(type));
      return {
        // An empty one would be told as "triggered".
        body: fitting(lines, LONGEST.ntfy, (line) => bytesOf(line) + 1).join("\n") || title,
        headers: {
          "content-type": "text/plain; charset=utf-8",
          title: asHeader(title),
          priority: urgent ? "high" : "default",
          tags: urgent ? "warning" : "door",
        },
      };
    }
  }
}

function json(value: object): Message {
  return { body: JSON.stringify(value), headers: JSON_HEADERS };
}

/** `{ id, host, title, events, more }`: `more` events are not among these. */
function bodyOf({ id, host, events }: Notification, title: string): object {
  return { id, host, title, events: events.slice(0, MOST_EVENTS), more: Math.max(0, events.length - MOST_EVENTS) };
}

/** The lines that fit; of those that do not, how many. */
function fitting(lines: readonly string[], most: number, size = (line: string) => line.length + 1): string[] {
  let left = most - REST;
  const first = lines.findIndex((line) => (left -= size(line)) < 0);
  return first === -1 ? [...lines] : [...lines.slice(0, first), `… and ${lines.length - first} more`];
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text);
}

/** Slack: these three begin links and mentions (docs.slack.dev, Formatting message text). */
function asEntities(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Discord shows no pictures of pages that a text links to. */
const SUPPRESS_EMBEDS = 4;

/** Discord: a backslash takes from these what they mean to Markdown, mentions and links. */
function withoutMarkup(text: string): string {
  return text.replaceAll(/[\\*_~`|<>[\]()#@]/g, "\\$&");
}

/** A message with one card, as the workflows of Teams take it (adaptivecards.io). */
function cardOf(lines: readonly string[]): object {
  const content = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    body: lines.map(blockOf),
  };
  const attachment = { contentType: "application/vnd.microsoft.card.adaptive", contentUrl: null, content };
  return { type: "message", attachments: [attachment] };
}

/** A run of text is no Markdown, as that of a TextBlock would be. */
function blockOf(text: string): object {
  return { type: "RichTextBlock", inlines: [{ type: "TextRun", text }] };
}

/** A header is ASCII; ntfy reads RFC 2047 for the rest, and for what looks like it. */
function asHeader(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text) && !text.includes("=?")) return text;
  return `=?UTF-8?B?${Buffer.from(text).toString("base64")}?=`;
}
