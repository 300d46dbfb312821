import { type Lease, type Notification, type Port, type WkfsEvent, formatAddress, formatPort } from "@wkfs/core";

/** Most lines of a digest; what does not fit is counted. */
const MOST_LINES = 200;
/** Most characters of one line. */
const LONGEST = 300;

/** Subject and text of a mail about these events. Plain text without control characters, whatever is in the events. */
export function formatMail({ host, events }: Notification): { readonly subject: string; readonly text: string } {
  const lines = events.flatMap(linesOf).map((line) => clean(line).slice(0, LONGEST));
  const shown = lines.slice(0, MOST_LINES);
  if (lines.length > shown.length) shown.push(`… and ${lines.length - shown.length} more`);
  const [first] = events;
  const about = events.length === 1 && first !== undefined ? subjectOf(first) : `${events.length} events`;
  return { subject: clean(`wkfs on ${host}: ${about}`).slice(0, 200), text: `${shown.join("\n")}\n` };
}

function subjectOf(event: WkfsEvent): string {
  switch (event.type) {
    case "opened":
    case "renewed":
    case "expired": {
      const [lease] = event.leases;
      const ports = event.leases.map(({ port }) => formatPort(port)).join(", ");
      return lease === undefined
        ? event.type
        : `${ports} ${event.type} for ${lease.client} at ${formatAddress(lease.address)}`;
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
  const at = new Date(event.time).toISOString();
  switch (event.type) {
    case "opened":
    case "renewed":
    case "expired":
      return event.leases.map((lease) => `${at} ${event.type}: ${describe(lease)}`);
    case "refused":
      return [
        `${at} refused (${event.reason}): ${event.client ?? "unnamed"} at ${formatAddress(event.address)}, ${portsOf(event.ports)}`,
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
  return `${formatPort(port)} for ${client} at ${formatAddress(address)} until ${new Date(deadline).toISOString()}`;
}

function portsOf(list: readonly Port[]): string {
  return list.map(formatPort).join(", ") || "no ports";
}

/** A line end in a name would begin a header of somebody else's making. */
function clean(text: string): string {
  return text.replaceAll(/\p{C}/gu, " ");
}
