import {
  type Address,
  type AddressFamily,
  type KernelLease,
  type Lease,
  type LeaseKey,
  type ProtectedPorts,
  messageOf,
  parseAddress,
} from "@wkfs/core";
import { z } from "zod";

/** What the command reads and writes: one JSON text each. docs/plugins/exec-firewall.md shows it to its authors. */

const VERSION = 1;

export type Operation = "attach" | "apply" | "check" | "list" | "detach";

export interface Change {
  readonly open: readonly Lease[];
  readonly close: readonly LeaseKey[];
}

/** What comes on standard input. Of what is to be opened, what has ended meanwhile is closed. */
export function requestText(op: Operation, protect: ProtectedPorts, change: Change, now: number): string {
  const lasting = change.open.filter(({ deadline }) => deadline > now);
  const ended = change.open.filter(({ deadline }) => deadline <= now);
  const open = lasting.map((lease) => ({
    ...keyOf(lease),
    client: lease.client,
    seconds: Math.ceil((lease.deadline - now) / 1000),
    deadline: lease.deadline,
  }));
  const close = [...change.close, ...ended].map(keyOf);
  const { tcp, udp } = protect;
  return `${JSON.stringify({ version: VERSION, op, protect: { tcp, udp }, open, close })}\n`;
}

function keyOf({ address, port }: LeaseKey): object {
  return { address: address.text, family: address.family, protocol: port.protocol, port: port.number };
}

const missing = z.array(z.string().max(1000)).max(1000).default([]);

const address = z.string().transform((text, context): Address => {
  try {
    return parseAddress(text);
  } catch (error) {
    context.addIssue(messageOf(error));
    return z.NEVER;
  }
});

/** `family` may come back as it was given; it is seen from the address. */
const leaseSchema = z.strictObject({
  address,
  family: z.enum(["ipv4", "ipv6"]).optional(),
  protocol: z.enum(["tcp", "udp"]),
  port: z.int().min(1).max(65_535),
  /** Time left, or the moment in milliseconds since the epoch; neither where the other side does not count. */
  seconds: z.number().min(0).max(2_147_483_647).optional(),
  deadline: z.number().min(0).max(8.64e15).optional(),
});

/** What `list` writes. */
export const stateSchema = z.strictObject({ missing, leases: z.array(leaseSchema) });
/** What `check` writes: how many there are, or which ones, or nothing of it. */
export const checkSchema = z.strictObject({
  missing,
  count: z.int().min(0).optional(),
  leases: z.array(leaseSchema).optional(),
});

/** A lease as core knows it. */
export function leaseOf(
  { address: at, protocol, port, seconds, deadline }: z.output<typeof leaseSchema>,
  now: number,
): KernelLease {
  const until = deadline ?? (seconds === undefined ? undefined : now + seconds * 1000);
  const key = { address: at, port: { protocol, number: port } };
  return until === undefined ? key : { ...key, deadline: until };
}

/** The first that is of none of these families. */
export function foreigner<Key extends LeaseKey>(
  keys: readonly Key[],
  families: readonly AddressFamily[],
): Key | undefined {
  return keys.find(({ address: { family } }) => !families.includes(family));
}
