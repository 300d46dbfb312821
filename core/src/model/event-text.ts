import { formatAddress } from "./address.ts";
import type { WkfsEvent } from "./event.ts";
import type { Lease } from "./lease.ts";
import { type Port, formatPort } from "./port.ts";

/** Events in words, for notifiers that write to people. */

/** Most characters of one line. */
const LONGEST = 300;

/** Events as one line of at most 300 characters: `opened for phone at 192.0.2.7 until …`, or how many of each there are. */
export function eventsInBrief(events: readonly WkfsEvent[]): string {
  const [first] = events;
  return singleLine(events.length === 1 && first !== undefined ? subjectOf(first) : digestOf(events));
}

/** One event in full: a line for each lease or fault, each of at most 300 characters. */
export function eventLines(event: WkfsEvent): string[] {
  return linesOf(event).map(singleLine);
}

/** `12 events: 10 opened, 2 healed` */
function digestOf(events: readonly WkfsEvent[]): string {
  const counts = new Map<string, number>();
  for (const { type } of events) counts.set(type, (counts.get(type) ?? 0) + 1);
  return `${events.length} events: ${[...counts].map(([type, count]) => `${count} ${type}`).join(", ")}`;
}

function subjectOf(event: WkfsEvent): string {
  switch (event.type) {
    case "opened":
    case "renewed":
    case "expired":
    case "closed": {
      const [lease] = event.leases;
      if (lease === undefined) return event.type;
      // Who and until when come before the ports, which may be many and are cut.
      const until = event.type === "expired" || event.type === "closed" ? "" : ` until ${timeOf(lease.deadline)}`;
      const ports = event.leases.slice(0, 20).map(({ port }) => formatPort(port));
      return `${event.type} for ${name(lease.client)} at ${formatAddress(lease.address)}${until}: ${ports.join(", ")}`;
    }
    case "refused":
      return `knock refused (${event.reason})`;
    case "healed":
      return `${event.firewall} had been changed and was put right`;
    case "failed":
      return `${event.firewall} needs attention`;
    case "started":
    case "stopped":
      return `daemon ${event.type}`;
  }
}

function linesOf(event: WkfsEvent): string[] {
  const at = timeOf(event.time);
  switch (event.type) {
    case "opened":
    case "renewed":
    case "expired":
    case "closed":
      return event.leases.map((lease) => `${at} ${event.type}: ${describe(lease)}`);
    case "refused":
      return [
        `${at} refused (${event.reason}): ${name(event.client ?? "unnamed")} at ${formatAddress(event.address)}, ${portsOf(event.ports)}`,
      ];
    case "healed":
      return event.found.map((found) => `${at} put right in ${event.firewall}: ${found}`);
    case "failed":
      return [
        `${at} trouble with ${event.firewall}: ${event.what}`,
        "Look into the log of wkfs daemon on this host; it goes on trying.",
      ];
    case "started":
      return [`${at} started with ${event.leases} open leases`];
    case "stopped":
      return [`${at} stopped`];
  }
}

function describe({ client, address, port, deadline }: Lease): string {
  return `${formatPort(port)} for ${name(client)} at ${formatAddress(address)} until ${timeOf(deadline)}`;
}

function portsOf(list: readonly Port[]): string {
  return list.map(formatPort).join(", ") || "no ports";
}

/** `2026-01-01T12:00:00Z`; a time that no calendar has is shown as the number that it is. */
function timeOf(time: number): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? `time ${time}` : date.toISOString().replace(/\.\d+Z$/, "Z");
}

/** A client's name, short enough to leave room for the rest of a line. */
function name(client: string): string {
  return client.slice(0, 80);
}

/**
 * A line of bounded length. Without control and formatting characters: a line end in a name would begin a header or a
 * line of somebody else's making, and a change of direction would show an address backwards.
 */
export function singleLine(text: string): string {
  return text.slice(0, LONGEST).replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, " ");
}
