import type { FirewallEntry } from "./answers.ts";
import type { BaseChain, Packet } from "./detect/rules.ts";

/** Where a configured firewall stands among the chains of a host. */
export interface Place {
  readonly families: readonly Packet["family"][];
  /** The chain of the administrator's that ours is called from, and before which of its rules; undefined for a hook of our own. */
  readonly parent: { readonly chain: BaseChain; readonly index: number } | undefined;
  /** Whole chains that a packet passes before and after ours. */
  readonly before: readonly BaseChain[];
  readonly after: readonly BaseChain[];
}

/** Undefined for a firewall of which nothing is known here. */
export function placeOf(entry: FirewallEntry, chains: readonly BaseChain[]): Place | undefined {
  const others = chains.filter((chain) => !isOurs(chain, entry));
  switch (entry.use) {
    case "nftables":
      return entry.mode === "allow" ? inNftables(entry, others) : ofNftables(entry, others);
    case "iptables":
    case "ip6tables":
      return inIptables(entry, others);
    default:
      return undefined;
  }
}

const BOTH = ["ipv4", "ipv6"] as const;

function ofNftables({ priority }: FirewallEntry, chains: readonly BaseChain[]): Place {
  const ours = typeof priority === "number" ? priority : -10;
  const early = (chain: BaseChain) => chain.hook === "prerouting" || chain.priority < ours;
  return {
    families: BOTH,
    parent: undefined,
    before: chains.filter(early),
    after: chains.filter((chain) => !early(chain)),
  };
}

function inNftables(entry: FirewallEntry, chains: readonly BaseChain[]): Place | undefined {
  const at = chains.findIndex(({ name }) => name === parentName(entry));
  const chain = chains[at];
  if (chain === undefined) return undefined;
  return {
    families: chain.families,
    parent: { chain, index: positionOf(entry) },
    before: chains.slice(0, at),
    after: chains.slice(at + 1),
  };
}

function inIptables(entry: FirewallEntry, chains: readonly BaseChain[]): Place {
  const input = chains.find(({ of }) => of === entry.use);
  // Chains of nftables see the packet as well, and their drop holds whatever ours says.
  const native = chains.filter(({ of }) => of === "nftables");
  const early = (chain: BaseChain) => chain.hook === "prerouting" || chain.priority < 0;
  const parent = parentName(entry);
  const called = input?.rules.findIndex(({ text }) => new RegExp(`-[jg] ${RegExp.escape(parent)}$`).test(text)) ?? -1;
  const index = parent === "INPUT" ? (entry.mode === "allow" ? positionOf(entry) : 0) : called;
  return {
    families: [entry.use === "iptables" ? "ipv4" : "ipv6"],
    parent: input && { chain: input, index: Math.max(0, index) },
    before: native.filter(early),
    after: native.filter((chain) => !early(chain)),
  };
}

/** `inet filter input`, or `INPUT`. */
export function parentName({ use, parent }: FirewallEntry): string {
  if (use !== "nftables") return typeof parent === "string" ? parent : "INPUT";
  const {
    family = "inet",
    table = "filter",
    chain = "input",
  } = typeof parent === "object" && !Array.isArray(parent) ? (parent as Readonly<Record<string, string>>) : {};
  return `${family} ${table} ${chain}`;
}

/** Rules of the parent that stand before ours. */
function positionOf({ position }: FirewallEntry): number {
  return typeof position === "number" ? position - 1 : 0;
}

/** The guard of a former installation. */
function isOurs({ name }: BaseChain, { use, name: own }: FirewallEntry): boolean {
  return name === `inet ${use === "nftables" && typeof own === "string" ? own : "wkfs"} guard`;
}
