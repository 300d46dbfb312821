import type { CountedLease } from "@wkfs/core/daemon";
import { rows } from "../table.ts";
import { type SocketFlags, ask } from "./control-socket.ts";
import { COUNTER_HEADER, LEASE_HEADER, leaseCells } from "./words.ts";

export interface LeasesFlags extends SocketFlags {
  /** Whether the kernel is asked what it counted. */
  readonly counters?: boolean | undefined;
}

/** All open leases, the first to end first. */
export async function readLeases(flags: LeasesFlags): Promise<CountedLease[]> {
  const leases: CountedLease[] = [];
  // A daemon of before knows no such argument: it is asked only for who wants to see them.
  const args = flags.counters === true ? { counters: true } : {};
  await ask(flags, "leases", { args, onItem: (item) => leases.push(item as CountedLease) });
  return leases;
}

export function leaseTable(
  leases: readonly CountedLease[],
  now: number,
  terminal: boolean,
  counters = false,
): string[] {
  if (leases.length === 0) return terminal ? ["nothing is open"] : [];
  const counted = ({ counters: found }: CountedLease) => [String(found?.packets ?? "-"), String(found?.bytes ?? "-")];
  const cells = leases.map((lease) => [...leaseCells(lease, now), ...(counters ? counted(lease) : [])]);
  return rows([...LEASE_HEADER, ...(counters ? COUNTER_HEADER : [])], cells, terminal);
}
