import type { Packet } from "./detect/rules.ts";

/** What the answers say is to be protected. */
export interface Protected {
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
}

/** A first packet to each of them, by each family. */
export function packetsTo({ tcp, udp }: Protected, families: readonly Packet["family"][]): Packet[] {
  const ports = [
    ...tcp.map((port) => ({ protocol: "tcp", port }) as const),
    ...udp.map((port) => ({ protocol: "udp", port }) as const),
  ];
  return ports.flatMap((port) => families.map((family) => ({ ...port, family })));
}

/** `tcp/22`, and of the family where it is about one alone. */
export function nameOf({ protocol, port }: Pick<Packet, "protocol" | "port">): string {
  return `${protocol}/${port}`;
}
