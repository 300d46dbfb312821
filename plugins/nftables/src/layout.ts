import type { AddressFamily, ProtectedPorts } from "@wkfs/core";
import type { NftablesConfig } from "./config.ts";
import type { TableName } from "./nftables.ts";

/** What we have in the kernel, and where: names, kinds and rules. nft(8). */
export interface Layout {
  readonly table: TableName;
  /** The set of each family that the table can hold. */
  readonly sets: ReadonlyMap<AddressFamily, string>;
  readonly size: number;
  readonly chain: string;
  /** How the chain is called by the kernel itself; undefined when a rule of the administrator's chain calls it. */
  readonly hook: string | undefined;
  readonly rules: readonly string[];
}

const ADDRESSES = {
  ipv4: { type: "ipv4_addr", source: "ip saddr" },
  ipv6: { type: "ipv6_addr", source: "ip6 saddr" },
} as const;

export function layoutOf(config: NftablesConfig, protect: ProtectedPorts): Layout {
  const sets = new Map<AddressFamily, string>([
    ["ipv4", "open_v4"],
    ["ipv6", "open_v6"],
  ]);
  return {
    table: { family: "inet", name: config.name },
    sets,
    size: config.size,
    chain: "guard",
    hook: `type filter hook input priority ${config.priority}; policy accept;`,
    rules: guardRules(sets, protect),
  };
}

/**
 * The guard. It can only close: an accept ends this chain, and the chains of others that come later in the same hook
 * still may drop the packet, unlike with iptables, where ACCEPT ends the hook. So what the administrator's
 * own chain drops stays shut for the open lease as well; `mode: allow` is for them.
 */
function guardRules(sets: ReadonlyMap<AddressFamily, string>, protect: ProtectedPorts): string[] {
  return [
    'iif "lo" return',
    "ct state established,related return",
    ...leaseRules(sets),
    ...(["tcp", "udp"] as const).flatMap((protocol) =>
      protect[protocol].length === 0 ? [] : [`${protocol} dport { ${protect[protocol].join(", ")} } drop`],
    ),
  ];
}

/** `meta l4proto` rather than `ip6 nexthdr`: it sees past the extension headers of IPv6. */
function leaseRules(sets: ReadonlyMap<AddressFamily, string>): string[] {
  return [...sets].map(([family, set]) => `${ADDRESSES[family].source} . meta l4proto . th dport @${set} accept`);
}

export function setLines(family: AddressFamily, size: number): string[] {
  return [`type ${ADDRESSES[family].type} . inet_proto . inet_service`, `size ${size}`, "flags timeout"];
}
