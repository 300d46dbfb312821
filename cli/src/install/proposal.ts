import type { FirewallEntry } from "./answers.ts";
import type { Host } from "./detect/host.ts";
import { worthProtecting } from "./detect/listeners.ts";
import { outcomes } from "./detect/rules.ts";
import { type Protected, packetsTo } from "./protected.ts";

/** What flags say about the firewall; the rest is proposed. */
export interface FirewallWish {
  readonly uses?: readonly string[] | undefined;
  readonly mode?: "guard" | "allow" | undefined;
  readonly parent?: string | undefined;
  readonly chain?: string | undefined;
}

export interface FirewallProposal {
  readonly firewalls: readonly FirewallEntry[];
  /** Why these, in a sentence. */
  readonly because: string;
}

/** The ports that are worth it, of those on which something listens. */
export function proposedPorts({ listeners }: Host): Protected {
  const of = (protocol: "tcp" | "udp") =>
    listeners.filter((one) => one.protocol === protocol && worthProtecting(one)).map(({ port }) => port);
  return { tcp: of("tcp"), udp: of("udp") };
}

/** The firewalls for a host, by what is installed, what is used, and what is wished. */
export function proposedFirewalls(host: Host, ports: Protected, wish: FirewallWish = {}): FirewallProposal {
  const { filter, others } = host;
  const entries = (uses: readonly string[], mode: "guard" | "allow", parent = wish.parent) =>
    uses.map((use) => firewallEntry(use, { ...wish, mode, parent }));
  const tables = ["iptables", "ip6tables"];
  if (wish.uses !== undefined) return { firewalls: entries(wish.uses, wish.mode ?? "guard"), because: "as you say" };
  const nativeParent = wish.parent?.includes(" ") === true;
  const closing = nativeChainThatCloses(host, ports);
  const usesTables = filter.chains.some(
    ({ of, rules, policy }) => of !== "nftables" && (rules.length > 0 || policy === "drop"),
  );
  if (usesTables && !nativeParent)
    return {
      firewalls: entries(tables, wish.mode ?? "guard"),
      because: `the rules of this host are those of iptables${others.ufw ? " (ufw)" : ""}, where an accept of ours ends INPUT`,
    };
  if (nativeParent || (wish.mode === "allow" && closing !== undefined))
    return {
      firewalls: entries(["nftables"], wish.mode ?? "allow", wish.parent ?? closing),
      because: "the chain to hang in is one of nftables",
    };
  if (wish.mode === "allow" || (wish.parent ?? wish.chain) !== undefined)
    return { firewalls: entries(tables, wish.mode ?? "guard"), because: "this chain is one of iptables" };
  if (!filter.nft) return { firewalls: entries(tables, "guard"), because: "nft is not installed" };
  // What hangs in a table of firewalld goes with its next reload.
  if (closing !== undefined && wish.mode === undefined && !closing.startsWith("inet firewalld "))
    return {
      firewalls: entries(["nftables"], "allow", closing),
      because: `${closing} drops the ports, and in nftables only a rule of its own can accept them`,
    };
  return { firewalls: entries(["nftables"], "guard"), because: "nft is installed, and one table holds both families" };
}

/** The first chain of nftables, at the place of a filter, that drops one of the ports for everybody. */
function nativeChainThatCloses({ filter }: Host, ports: Protected): string | undefined {
  const chains = filter.chains.filter(
    ({ of, hook, priority }) => of === "nftables" && hook === "input" && priority > -10,
  );
  return chains.find((chain) =>
    packetsTo(ports, chain.families).some((packet) =>
      outcomes(chain, packet).every(({ verdict }) => verdict === "drop"),
    ),
  )?.name;
}

/** A firewall's section of the configuration. */
export function firewallEntry(use: string, { mode = "guard", parent, chain }: FirewallWish): FirewallEntry {
  switch (use) {
    case "nftables": {
      const [family = "", table = "", name = ""] = (parent ?? "inet filter input").split(" ");
      const place = mode === "allow" ? { parent: { family, table, chain: name } } : {};
      return { use, mode, ...(chain && { name: chain }), ...place };
    }
    case "iptables":
    case "ip6tables":
      return { use, mode, parent: parent ?? "INPUT", chain: chain ?? "wkfs" };
    default:
      return { use };
  }
}
