import { type Lease, type WkfsEvent, parseAddress } from "@wkfs/core";

export const NOW = Date.UTC(2026, 0, 1);

/** A lease of the host with this number. */
export function lease(host: number, deadline = NOW + 600_000): Lease {
  const address = parseAddress(`10.${(host >> 16) & 255}.${(host >> 8) & 255}.${host & 255}`);
  return { address, port: { protocol: "tcp", number: 22 }, client: "phone", openedAt: NOW, deadline };
}

export function opened(...leases: Lease[]): WkfsEvent {
  return { type: "opened", time: NOW, leases };
}
