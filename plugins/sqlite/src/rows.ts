import { isIPv4 } from "node:net";
import {
  type AddressFamily,
  type Lease,
  type LeaseKey,
  type PendingNotification,
  type WkfsEvent,
  isPortNumber,
  leaseId,
  messageOf,
  parseAddress,
} from "@wkfs/core";
import { damaged } from "./failure.ts";
import { checkEvent } from "./event.ts";

/** A row as SQLite gives it. */
export type Row = Readonly<Record<string, unknown>>;

const LONGEST: Readonly<Record<AddressFamily, number>> = { ipv4: 32, ipv6: 128 };

/** The values of a lease in the order of the `put` statement. */
export function leaseValues(lease: Lease): (string | number)[] {
  const { address, port, client, openedAt, deadline } = lease;
  const { text, family, length } = address;
  return [leaseId(lease), text, family, length, port.protocol, port.number, client, openedAt, deadline];
}

/** A lease as SQLite gives it: the columns in the order of the `leases` statement. */
export type LeaseRow = readonly unknown[];

/** Reads a lease; one that makes no sense is damage, and none is passed over. */
export function leaseOf(row: LeaseRow, file: string): Lease {
  const [id, address, family, length, protocol, port, client, openedAt, deadline] = row;
  try {
    if (typeof address !== "string" || typeof client !== "string") throw new Error("a text is none");
    if (protocol !== "tcp" && protocol !== "udp") throw new Error("the protocol is neither tcp nor udp");
    if (!isPortNumber(port)) throw new Error("the port is none");
    if (!isTime(openedAt) || !isTime(deadline)) throw new Error("a time is none");
    if ((family !== "ipv4" && family !== "ipv6") || !isAddress(family, address)) throw new Error("the address is none");
    if (typeof length !== "number" || length > LONGEST[family]) throw new Error("the prefix length is none");
    const key = { address: { family, text: address, length }, port: { protocol, number: port } } satisfies LeaseKey;
    const lease = { ...key, client, openedAt, deadline };
    if (leaseId(lease) !== id) throw new Error("it stands under another name");
    return lease;
  } catch (error) {
    throw damaged(file, `the lease ${JSON.stringify(id)} makes no sense: ${messageOf(error)}`, error);
  }
}

/** Whether it is an address in the one notation that core writes. Of IPv4 there is no other that `isIPv4` takes. */
function isAddress(family: AddressFamily, text: string): boolean {
  if (family === "ipv4") return isIPv4(text);
  const { family: found, text: canonical } = parseAddress(text);
  return found === family && canonical === text;
}

/** The values of an event in the order of the `append` statement. */
export function eventValues(event: WkfsEvent): (string | number | null)[] {
  const client = "leases" in event && typeof event.leases === "object" ? event.leases[0]?.client : undefined;
  const refused = event.type === "refused" ? event.client : undefined;
  return [event.time, event.type, client ?? refused ?? null, JSON.stringify(event)];
}

export function historyOf(row: Row, file: string): WkfsEvent {
  const event = eventOf(row["event"], file);
  if (event.time === row["time"] && event.type === row["type"]) return event;
  throw damaged(file, `an event of the history says ${event.type} where its row says ${String(row["type"])}`);
}

export function pendingOf(row: Row, file: string): PendingNotification {
  const { id, notifier, event } = row;
  if (typeof id === "string" && typeof notifier === "string") return { id, notifier, event: eventOf(event, file) };
  throw damaged(file, "a notification that waits has no name");
}

function eventOf(json: unknown, file: string): WkfsEvent {
  try {
    return checkEvent(JSON.parse(String(json)));
  } catch (error) {
    throw damaged(file, `an event in it makes no sense: ${messageOf(error)}`, error);
  }
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
