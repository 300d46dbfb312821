import { type Address, formatAddress } from "./address.ts";
import { type Port, formatPort } from "./port.ts";

/** What makes a lease the same lease: renewing never makes a second one with an equal key. */
export interface LeaseKey {
  readonly address: Address;
  readonly port: Port;
}

/** One opening: an address may reach a port until a deadline. */
export interface Lease extends LeaseKey {
  /** Who asked: in protocol v1 the name of the key set; `BY_HAND` for one that the administrator opened. */
  readonly client: string;
  /** When it was opened first, in milliseconds since the epoch. */
  readonly openedAt: number;
  /** When it ends, in milliseconds since the epoch. */
  readonly deadline: number;
}

/** The `client` of what was opened by hand. No key set can have this name. */
export const BY_HAND = "@hand";

/** A lease as it stands in the kernel: there are no names there, and perhaps no deadline. */
export interface KernelLease extends LeaseKey {
  /** In milliseconds since the epoch; absent where the kernel does not end leases by itself. */
  readonly deadline?: number;
  /** What the kernel counted for it, where it counts. */
  readonly counters?: Counters;
}

/** Packets that a lease let through, and their bytes. Where the filter passes what belongs to a connection beforehand, the first of each. */
export interface Counters {
  readonly packets: number;
  readonly bytes: number;
}

/** `192.0.2.7 tcp/22`: equal for equal keys, so it also serves as the key of a Map. */
export function leaseId(key: LeaseKey): string {
  return `${formatAddress(key.address)} ${formatPort(key.port)}`;
}
