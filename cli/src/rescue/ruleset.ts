import { WkfsError } from "@wkfs/core";
import { program } from "./program.ts";

/** What a packet filter shows of itself: the output of each of these programs that is installed, by its name here. */
export type Ruleset = Readonly<Partial<Record<View, string>>>;

export const VIEWS = {
  "nft-list-ruleset": ["nft", "list", "ruleset"],
  "iptables-save": ["iptables-save"],
  "ip6tables-save": ["ip6tables-save"],
  "ipset-list-n": ["ipset", "list", "-n"],
} as const;
export type View = keyof typeof VIEWS;

/** Reads the whole packet filter; changes nothing. Throws `HOST_UNSUPPORTED` when nothing of it can be read. */
export async function readRuleset(): Promise<Ruleset> {
  const ruleset: Partial<Record<View, string>> = {};
  const said: string[] = [];
  for (const [view, argv] of Object.entries(VIEWS) as [View, readonly string[]][]) {
    const { code, stdout, stderr } = await program(argv);
    if (code === 0) ruleset[view] = stdout;
    else said.push(`${argv.join(" ")}: ${stderr.trim().split("\n")[0]}`);
  }
  if (Object.keys(ruleset).length > 0) return ruleset;
  throw new WkfsError("HOST_UNSUPPORTED", `the packet filter cannot be read: ${said.join("; ")}`, {
    hint: "Run this as root, on a host with nftables or iptables.",
  });
}

/** How two readings differ, in lines for people; empty when they are the same but for counters and the times of elements. */
export function differences(before: Ruleset, now: Ruleset): string[] {
  return (Object.keys(VIEWS) as View[]).flatMap((view) => {
    if (before[view] === undefined || now[view] === undefined) return [];
    const [old, young] = [comparable(before[view]), comparable(now[view])];
    if (old.join("\n") === young.join("\n")) return [];
    const gone = without(old, young).map((line) => `${view}: gone: ${line.trim()}`);
    const more = without(young, old).map((line) => `${view}: more: ${line.trim()}`);
    const lines = [...gone, ...more];
    return lines.length > 0 ? lines : [`${view}: in another order`];
  });
}

/** Without what changes by itself: remarks, counters, and how long elements last. */
function comparable(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) =>
      line
        .replaceAll(/counter packets \d+ bytes \d+/g, "counter")
        .replaceAll(/ expires \w+/g, "")
        .replace(/ \[\d+:\d+\]$/, ""),
    );
}

function without(lines: readonly string[], others: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const line of others) left.set(line, (left.get(line) ?? 0) + 1);
  return lines.filter((line) => {
    const count = left.get(line) ?? 0;
    left.set(line, count - 1);
    return count <= 0;
  });
}
