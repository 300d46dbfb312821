import {
  type EventType,
  type Lease,
  type Notification,
  type WkfsEvent,
  eventLines,
  eventsInBrief,
  formatAddress,
  formatPort,
  singleLine,
} from "@wkfs/core";

/** What a log shows first of an entry (RFC 5424, 6.2.1). */
const SEVERITY: Readonly<Record<EventType, number>> = {
  failed: 3,
  healed: 4,
  refused: 4,
  opened: 5,
  renewed: 6,
  expired: 6,
  closed: 6,
  started: 6,
  stopped: 6,
};

/** One line of a log: a lease, or a fault. Nothing in it can end the line. */
export interface Entry {
  readonly type: EventType;
  readonly severity: number;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly text: string;
  /** The same for programs: names in lower case. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** The entries of a notification, at most `most` and one that counts the others. */
export function entriesOf(notification: Notification, most: number): Entry[] {
  const { id, events } = notification;
  const entries: Entry[] = [];
  let left = 0;
  for (const event of events) {
    const lines = linesOf(event);
    for (const [at, text] of lines.entries()) {
      if (entries.length === most) left += 1;
      else entries.push({ ...frame(event), text, fields: fieldsOf(id, event, at) });
    }
  }
  if (left === 0) return entries;
  const last = events.at(-1)!;
  const text = `and ${left} more, which only the history of wkfs has; in all ${eventsInBrief(events)}`;
  return [...entries, { ...frame(last), text: singleLine(text), fields: clean([["notification", id]]) }];
}

function frame({ type, time }: WkfsEvent): Pick<Entry, "type" | "severity" | "time"> {
  return { type, time, severity: SEVERITY[type] };
}

function linesOf(event: WkfsEvent): string[] {
  const lines = eventLines(event);
  // The second one tells people where to look: into the log.
  if (event.type === "failed") return lines.slice(0, 1);
  return lines.length === 0 ? [eventsInBrief([event])] : lines;
}

function fieldsOf(id: string, event: WkfsEvent, at: number): Entry["fields"] {
  return clean([["event", event.type], ["notification", id], ...detailsOf(event, at)]);
}

function detailsOf(event: WkfsEvent, at: number): (readonly [string, string])[] {
  switch (event.type) {
    case "opened":
    case "renewed":
    case "expired":
      return leaseFields(event.leases[at]);
    case "closed":
      return [...leaseFields(event.leases[at]), ["by", event.by]];
    case "refused":
      return [
        ...(event.client === undefined ? [] : [["client", event.client] as const]),
        ["address", formatAddress(event.address)],
        ["reason", event.reason],
      ];
    case "healed":
    case "failed":
      return [["firewall", event.firewall]];
    case "started":
      return [["leases", String(event.leases)]];
    case "stopped":
      return [];
  }
}

function leaseFields(lease: Lease | undefined): (readonly [string, string])[] {
  if (lease === undefined) return [];
  const until = new Date(lease.deadline);
  return [
    ["client", lease.client],
    ["address", formatAddress(lease.address)],
    ["port", formatPort(lease.port)],
    ...(Number.isNaN(until.getTime()) ? [] : [["until", until.toISOString()] as const]),
  ];
}

function clean(fields: readonly (readonly [string, string])[]): Entry["fields"] {
  return fields.map(([name, value]) => [name, singleLine(value)] as const);
}
