import { type Notification, eventLines, eventsInBrief, singleLine } from "@wkfs/core";

/** Most lines of a digest; what does not fit is counted. */
const MOST_LINES = 200;

/** Subject and text of a mail about these events. Plain text without control characters, whatever is in the events. */
export function formatMail(
  { host, events }: Notification,
  prefix: string,
): { readonly subject: string; readonly text: string } {
  const lines = events.flatMap(eventLines);
  const shown = lines.slice(0, MOST_LINES);
  if (lines.length > shown.length) shown.push(`… and ${lines.length - shown.length} more`);
  return {
    subject: singleLine(`${prefix} on ${host.slice(0, 64)}: ${eventsInBrief(events)}`).trim(),
    text: `${singleLine(`Host: ${host}`)}\n\n${shown.join("\n")}\n`,
  };
}
