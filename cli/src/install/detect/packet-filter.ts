import { accessSync, constants } from "node:fs";
import { readFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { SYSTEM, ask } from "./command.ts";
import { parseInput } from "./iptables-rules.ts";
import { parseHooks } from "./nft-rules.ts";
import type { BaseChain } from "./rules.ts";

/** What of packet filters is on this host, and what they hold. */
export interface PacketFilter {
  readonly nft: boolean;
  /** Which of its two kinds `iptables` is; undefined where there is none. */
  readonly iptables: "nf_tables" | "legacy" | undefined;
  readonly ipset: boolean;
  /** Whether the rules could be read: that needs root. */
  readonly readable: boolean;
  /** What sees packets that come in, in the order of the kernel: nftables', then those of iptables. */
  readonly chains: readonly BaseChain[];
  /** Whether iptables-legacy has rules beside those of the `iptables` of this host, which are of the other kind. */
  readonly legacyBeside: boolean;
  /** The texts, for who looks for traces of other programs. */
  readonly texts: readonly string[];
}

/** Asks the programs of the host, and changes nothing. Every rule of the namespace that this process is in. */
export async function packetFilter(): Promise<PacketFilter> {
  const [version, json, text, saved, saved6, tables] = await Promise.all([
    ask("iptables", "--version"),
    ask("nft", "--json", "--terse", "list ruleset"),
    ask("nft", "--handle", "--stateless", "--terse", "list ruleset"),
    ask("iptables-save"),
    ask("ip6tables-save"),
    readFile("/proc/net/ip_tables_names", "utf8").catch(() => ""),
  ]);
  const iptables = version === undefined ? undefined : version.includes("legacy") ? "legacy" : "nf_tables";
  // It would load the tables of iptables-legacy if there were none yet, so it is asked only where there are.
  const inUse = iptables === "nf_tables" && tables.includes("filter");
  const legacy = inUse ? await ask("iptables-legacy-save", "-t", "filter") : undefined;
  const chains = [
    ...(json === undefined || text === undefined ? [] : parseHooks(json, text)),
    ...[parseInput(saved ?? "", "iptables"), parseInput(saved6 ?? "", "ip6tables")].filter((one) => one !== undefined),
  ];
  return {
    nft: installed("nft"),
    iptables,
    ipset: installed("ipset"),
    readable: process.geteuid?.() === 0 && (json ?? saved) !== undefined,
    chains: chains.toSorted((a, b) => b.hook.localeCompare(a.hook) || a.priority - b.priority),
    legacyBeside: hasRules(legacy ?? ""),
    texts: [text, saved, saved6, legacy].filter((one) => one !== undefined),
  };
}

/** Whether a text of `iptables-save` says more than that the tables are there. */
export function hasRules(saved: string): boolean {
  return /^-A |^:\S+ DROP /m.test(saved);
}

/** Whether a program is there, also for a user whose PATH does not lead to it. */
function installed(program: string): boolean {
  return [...(process.env["PATH"] ?? "").split(delimiter), ...SYSTEM].some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return folder !== "";
    } catch {
      return false;
    }
  });
}
