import type { Lease } from "@wkfs/core";
import { rows } from "../table.ts";
import { type SocketFlags, ask } from "./control-socket.ts";
import { LEASE_HEADER, leaseCells } from "./words.ts";

/** All open leases, the first to end first. */
export async function readLeases(flags: SocketFlags): Promise<Lease[]> {
  const leases: Lease[] = [];
  await ask(flags, "leases", { onItem: (item) => leases.push(item as Lease) });
  return leases;
}

export function leaseTable(leases: readonly Lease[], now: number, terminal: boolean): string[] {
  if (leases.length === 0) return terminal ? ["nothing is open"] : [];
  const cells = leases.map((lease) => leaseCells(lease, now));
  return rows(LEASE_HEADER, cells, terminal);
}
