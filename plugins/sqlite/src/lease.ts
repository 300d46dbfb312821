import { isIPv4 } from "node:net";
import { type AddressFamily, type Lease, isPortNumber, leaseId, parseAddress } from "@wkfs/core";

/** Longest prefix in bits, which is that of a single host. */
const LONGEST: Readonly<Record<AddressFamily, number>> = { ipv4: 32, ipv6: 128 };

/** A lease as it is kept, in a row of its own and in events: its `leaseId`, its client, when it was opened, and its deadline. */
export type LeaseValues = readonly [id: string, client: string, openedAt: number, deadline: number];

export function leaseValues(lease: Lease): LeaseValues {
  return [leaseId(lease), lease.client, lease.openedAt, lease.deadline];
}

/** Throws when the values make no sense, or are not written as `leaseValues` does. */
export function readLease([id, client, openedAt, deadline]: readonly unknown[]): Lease {
  if (typeof id !== "string" || typeof client !== "string") throw new Error("a text is none");
  if (!isTime(openedAt) || !isTime(deadline)) throw new Error("a time is none");
  const space = id.indexOf(" ");
  const slash = id.indexOf("/", space);
  const protocol = id.slice(space + 1, slash);
  if (protocol !== "tcp" && protocol !== "udp") throw new Error("the protocol is neither tcp nor udp");
  const number = Number(id.slice(slash + 1));
  if (!isPortNumber(number)) throw new Error("the port is none");
  const lease = {
    address: addressOf(id.slice(0, space)),
    port: { protocol, number },
    client,
    openedAt,
    deadline,
  } as const;
  if (leaseId(lease) !== id) throw new Error("it stands under another name");
  return lease;
}

/** Reads what `formatAddress` of core writes: `192.0.2.7`, `fd91::/64`. Of IPv4 there is no other notation that `isIPv4` takes. */
function addressOf(notation: string): Lease["address"] {
  const slash = notation.indexOf("/");
  const text = slash < 0 ? notation : notation.slice(0, slash);
  const family = text.includes(":") ? "ipv6" : "ipv4";
  const length = slash < 0 ? LONGEST[family] : Number(notation.slice(slash + 1));
  if (!Number.isInteger(length) || length < 0 || length > LONGEST[family]) throw new Error("the prefix length is none");
  const right = family === "ipv4" ? isIPv4(text) : isCanonical(text);
  if (!right) throw new Error("the address is none");
  return { family, text, length };
}

function isCanonical(text: string): boolean {
  const { family, text: canonical } = parseAddress(text);
  return family === "ipv6" && canonical === text;
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
