import { readFile } from "node:fs/promises";
import type { ServerConfig } from "@wkfs/core/config";

/** Where distributions keep the rules that a boot loads, and how they are written anew. */
const SAVED = [
  ["/etc/nftables.conf", "take the table out of that file"],
  ["/etc/sysconfig/nftables.conf", "take the table out of that file"],
  ["/etc/iptables/rules.v4", "netfilter-persistent save"],
  ["/etc/iptables/rules.v6", "netfilter-persistent save"],
  ["/etc/sysconfig/iptables", "service iptables save"],
  ["/etc/sysconfig/ip6tables", "service ip6tables save"],
] as const;

/**
 * Says which saved rules hold our guard: with a boot it would come back, and after `wkfs uninstall` nothing is there that takes it
 * down. They are the administrator's, so nothing is changed.
 */
export async function savedGuards(
  configs: readonly (ServerConfig | undefined)[],
  files: readonly (readonly [path: string, mend: string])[] = SAVED,
): Promise<string[]> {
  const named = configs.flatMap((config) => config?.firewall.map((use) => use.config["name"]) ?? []);
  const tables = new Set(["wkfs", ...named.filter((name) => typeof name === "string")]);
  const lines: string[] = [];
  for (const [path, mend] of files) {
    const text = await readFile(path, "utf8").catch(() => "");
    const holds = text.split("\n").some((line) => isOurs(line, tables));
    if (holds) lines.push(`${path} holds the guard too, and a boot brings it back: ${mend}`);
  }
  return lines;
}

/** The head of our table, or the jump to our chain, as `nft list ruleset` and iptables-save(8) print them. */
function isOurs(line: string, tables: ReadonlySet<string>): boolean {
  const [, table] = /^\s*(?:add )?table inet (\S+)/.exec(line) ?? [];
  if (table !== undefined) return tables.has(table);
  return !line.startsWith("#") && /\bcomment "?wkfs"?(\s|$)/.test(line);
}
