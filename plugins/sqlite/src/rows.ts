import { type Lease, type PendingNotification, type WkfsEvent, messageOf } from "@wkfs/core";
import { readEvents } from "./event.ts";
import { damaged } from "./failure.ts";
import { readLease } from "./lease.ts";

/** A row as SQLite gives it. */
export type Row = Readonly<Record<string, unknown>>;

/** Reads a lease; one that makes no sense is damage, and none is passed over. */
export function leaseOf(row: readonly unknown[], file: string): Lease {
  try {
    return readLease(row);
  } catch (error) {
    throw damaged(file, `the lease ${JSON.stringify(row[0])} makes no sense: ${messageOf(error)}`, error);
  }
}

/** The events of a row, oldest first. */
export function historyOf(row: Row, file: string): WkfsEvent[] {
  const { time, events: json } = row;
  const events = eventsOf(json, file);
  const stray = events.find((event) => event.time !== time);
  if (stray === undefined) return events;
  throw damaged(file, `an event of the history is of ${stray.time} where its row says ${String(time)}`);
}

export function pendingOf(row: Row, file: string): PendingNotification {
  const { id, notifier, event: json } = row;
  const [event, ...more] = eventsOf(json, file);
  if (typeof id === "string" && typeof notifier === "string" && event !== undefined && more.length === 0)
    return { id, notifier, event };
  throw damaged(file, "a notification that waits has no name, or not one event");
}

function eventsOf(json: unknown, file: string): WkfsEvent[] {
  try {
    return readEvents(String(json));
  } catch (error) {
    throw damaged(file, `an event in it makes no sense: ${messageOf(error)}`, error);
  }
}
