import { type Lease, type WkfsEvent, eventLines, formatAddress, formatPort } from "@wkfs/core";

/** How leases and events are shown. */

export const LEASE_HEADER = ["ADDRESS", "PORT", "CLIENT", "LEFT", "SINCE"];
export const COUNTER_HEADER = ["PACKETS", "BYTES"];

/** `now` in ms since the epoch. */
export function leaseCells({ address, port, client, deadline, openedAt }: Lease, now: number): string[] {
  return [formatAddress(address), formatPort(port), client, left(deadline - now), timeOf(openedAt)];
}

export function eventText(event: WkfsEvent): string {
  return eventLines(event).join("\n");
}

/** `9m 05s`: how long from now, for people. */
export function left(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  if (seconds < 60) return `${seconds}s`;
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  const two = (number: number) => String(number).padStart(2, "0");
  return hours > 0 ? `${hours}h ${two(minutes % 60)}m` : `${minutes}m ${two(seconds % 60)}s`;
}

export function timeOf(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, "Z");
}
