import { type Notification, type WkfsEvent, eventLines, eventsInBrief, singleLine } from "@wkfs/core";
import type { Format } from "./config.ts";

/** The body of a request, and the headers that belong to it. */
export interface Message {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Most events in a body of JSON: what does not fit is counted. */
const MOST_EVENTS = 1000;
/**
 * Most characters of a text, below what each service takes: Slack 40,000 and Discord 2000 characters, Teams 28 KB, ntfy 4096
 * bytes of at most three a character.
 */
const LONGEST = { slack: 10_000, discord: 1800, teams: 6000, ntfy: 1300 } as const;
/** What an administrator should look at. */
const URGENT: ReadonlySet<WkfsEvent["type"]> = new Set<WkfsEvent["type"]>(["healed", "failed"]);
const JSON_HEADERS = { "content-type": "application/json" } as const;

/** These events as the other side understands them. */
export function messageFor(format: Format, notification: Notification): Message {
  const { host, events } = notification;
  const title = singleLine(`wkfs on ${host.slice(0, 64)}: ${eventsInBrief(events)}`);
  const json = (value: object): Message => ({ body: JSON.stringify(value), headers: JSON_HEADERS });
  switch (format) {
    case "json":
      return json(bodyOf(notification, title));
    case "slack":
      // https://docs.slack.dev/messaging/formatting-message-text: these three have a meaning.
      return json({ text: asEntities(textOf(title, events, LONGEST.slack)) });
    case "discord":
      return json({ content: textOf(title, events, LONGEST.discord), allowed_mentions: { parse: [] } });
    case "teams":
      return json(cardOf(textOf(title, events, LONGEST.teams)));
    case "ntfy":
      return {
        body: textOf(title, events, LONGEST.ntfy),
        headers: {
          "content-type": "text/plain; charset=utf-8",
          title: "wkfs",
          priority: events.some(({ type }) => URGENT.has(type)) ? "high" : "default",
        },
      };
  }
}

/** `{ id, host, title, events, more }`: `more` events are not among these. */
function bodyOf({ id, host, events }: Notification, title: string): object {
  return { id, host, title, events: events.slice(0, MOST_EVENTS), more: Math.max(0, events.length - MOST_EVENTS) };
}

/** The title, then a line for each lease or fault; of those that do not fit, how many. */
function textOf(title: string, events: readonly WkfsEvent[], longest: number): string {
  const lines = events.flatMap(eventLines);
  let text = title;
  for (const [index, line] of lines.entries()) {
    if (text.length + line.length > longest) return `${text}\n… and ${lines.length - index} more`;
    text += `\n${line}`;
  }
  return text;
}

function asEntities(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** A message with one card, as the workflows of Teams take it (https://adaptivecards.io). */
function cardOf(text: string): object {
  const body = text.split("\n").map((line) => ({ type: "TextBlock", text: line, wrap: true }));
  const content = { type: "AdaptiveCard", version: "1.4", body };
  return { type: "message", attachments: [{ contentType: "application/vnd.microsoft.card.adaptive", content }] };
}
