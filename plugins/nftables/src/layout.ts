import type { AddressFamily, ProtectedPorts } from "@wkfs/core";
import type { NftablesConfig } from "./config.ts";
import type { TableName } from "./nftables.ts";

/** What we have in the kernel, and where: names, kinds and rules. nft(8). */
export interface Layout {
  readonly table: TableName;
  /** The set of each family that the table can hold. */
  readonly sets: ReadonlyMap<AddressFamily, string>;
  readonly size: number;
  readonly counters: boolean;
  readonly chain: string;
  readonly rules: readonly string[];
  /** Who calls the chain: the kernel, or a rule in a chain of the administrator's. */
  readonly caller: { readonly hook: string } | Parent;
}

export interface Parent {
  readonly chain: string;
  /** Where in it the call stands, counted from 1. */
  readonly position: number;
  /** Rules that are not in it while we are. */
  readonly takeOut: readonly string[];
}

const ADDRESSES = {
  ipv4: { type: "ipv4_addr", source: "ip saddr", suffix: "v4" },
  ipv6: { type: "ipv6_addr", source: "ip6 saddr", suffix: "v6" },
} as const;
const FAMILIES = { inet: ["ipv4", "ipv6"], ip: ["ipv4"], ip6: ["ipv6"] } as const;

/** `guardUntil` in ms since the epoch: when the kernel stops to guard by itself. */
export function layoutOf(config: NftablesConfig, protect: ProtectedPorts, guardUntil?: number): Layout {
  const { mode, name, size, counters, parent, position, takeOut, priority } = config;
  const family = mode === "guard" ? "inet" : parent.family;
  const sets = new Map(FAMILIES[family].map((one) => [one, `${name}_${ADDRESSES[one].suffix}`]));
  if (mode === "allow") {
    // A rule can only look into a set of its own table, so everything of ours is in the administrator's.
    const table = { family, name: parent.table };
    return {
      table,
      sets,
      size,
      counters,
      chain: name,
      // For a limited time rules of ours close, before all others, and none of theirs is out: nobody would put it back.
      rules: guardUntil === undefined ? leaseRules(sets) : guardRules(sets, protect, guardUntil),
      caller:
        guardUntil === undefined
          ? { chain: parent.chain, position, takeOut }
          : { chain: parent.chain, position: 1, takeOut: [] },
    };
  }
  return {
    table: { family, name },
    sets,
    size,
    counters,
    chain: "guard",
    rules: guardRules(sets, protect, guardUntil),
    caller: { hook: `type filter hook input priority ${priority}; policy accept;` },
  };
}

/**
 * The guard. It can only close: an accept ends this chain, and the chains of others that come later in the same hook
 * still may drop the packet, unlike with iptables, where ACCEPT ends the hook. So what the administrator's
 * own chain drops stays shut for the open lease as well; `mode: allow` is for them.
 */
function guardRules(
  sets: ReadonlyMap<AddressFamily, string>,
  protect: ProtectedPorts,
  until: number | undefined,
): string[] {
  const meanwhile = until === undefined ? "" : `meta time < "${utc(until)}" `;
  return [
    'iif "lo" return',
    "ct state established,related return",
    ...leaseRules(sets),
    ...(["tcp", "udp"] as const).flatMap((protocol) =>
      protect[protocol].length === 0 ? [] : [`${meanwhile}${protocol} dport { ${protect[protocol].join(", ")} } drop`],
    ),
  ];
}

/** A time of day as nft reads and prints it where the time zone is UTC, which `program.ts` sees to. */
function utc(time: number): string {
  return new Date(Math.ceil(time / 1000) * 1000).toISOString().slice(0, 19).replace("T", " ");
}

/** `meta l4proto` rather than `ip6 nexthdr`: it sees past the extension headers of IPv6. */
function leaseRules(sets: ReadonlyMap<AddressFamily, string>): string[] {
  return [...sets].map(([family, set]) => `${ADDRESSES[family].source} . meta l4proto . th dport @${set} accept`);
}

/** What makes a set one of ours, as nft prints it. */
export function kindLines(family: AddressFamily): string[] {
  return [`type ${ADDRESSES[family].type} . inet_proto . inet_service`, "flags timeout"];
}

/** What else it is made of, and can be changed by the configuration. */
export function settingLines({ size, counters }: Layout): string[] {
  return [`size ${size}`, ...(counters ? [COUNTER] : [])];
}

/** The line of a set that counts. */
export const COUNTER = "counter";
