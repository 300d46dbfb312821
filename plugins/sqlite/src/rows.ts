import { type Lease, type LeaseKey, WkfsError, type WkfsEvent, isPortNumber, messageOf, parseAddress } from "@wkfs/core";

/** A value as SQLite gives it. */
type Row = Record<string, unknown>;

export function leaseOf(row: Row, file: string): Lease {
  const { address, length, protocol, port, client, opened_at: openedAt, deadline } = row;
  try {
    if (typeof address !== "string" || typeof length !== "number" || typeof client !== "string") throw new Error("a field is of the wrong type");
    if (protocol !== "tcp" && protocol !== "udp") throw new Error("the protocol is none");
    if (!isPortNumber(port)) throw new Error("the port is none");
    if (typeof openedAt !== "number" || typeof deadline !== "number") throw new Error("a time is none");
    const parsed = parseAddress(address);
    return { address: { ...parsed, length }, port: { protocol, number: port }, client, openedAt, deadline };
  } catch (error) {
    throw damaged(file, `a lease in it makes no sense: ${messageOf(error)}`, error);
  }
}

export function keyParameters({ address, port }: LeaseKey): [string, number, string, number] {
  return [address.text, address.length, port.protocol, port.number];
}

/** Events were written by us as JSON; what is no event any more is damage. */
export function eventOf(json: unknown, file: string): WkfsEvent {
  try {
    const event: unknown = JSON.parse(String(json));
    if (typeof event !== "object" || event === null || !("type" in event) || !("time" in event)) throw new Error("it is no event");
    return event as WkfsEvent;
  } catch (error) {
    throw damaged(file, `an event in it makes no sense: ${messageOf(error)}`, error);
  }
}

export function damaged(file: string, what: string, cause?: unknown): WkfsError {
  return new WkfsError("STORE_FAILED", `the store ${file} is damaged: ${what}`, {
    hint: `Move it away (mv ${file} ${file}.damaged) and start again: open leases and waiting mails in it are then forgotten, and what is open in the kernel is closed.`,
    cause,
  });
}
