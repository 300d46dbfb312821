/**
 * What iptables (of the kind that is nftables underneath) makes when it is first used and nobody takes away: a table with the
 * built-in chains, which accept everything. It has no effect, but it was not there before.
 */

/** Tables that a firewall of ours may have had made, and what in them comes by itself. */
const TABLES = ["ip filter", "ip6 filter"];
const BUILT_IN = /^\tchain (INPUT|FORWARD|OUTPUT) \{\n\t\ttype filter hook \w+ priority \w+; policy accept;\n\t\}$/;

/**
 * The commands for nft that remove what was not there before and is without effect now. `before` and `now` are what
 * `nft list ruleset` prints.
 */
export function leftovers(before: string, now: string): string[][] {
  const [old, young] = [tablesOf(before), tablesOf(now)];
  return TABLES.flatMap((table) => {
    const parts = young.get(table) ?? [];
    const known = old.get(table);
    const idle = parts.filter((part) => BUILT_IN.test(part) && !known?.some((one) => headOf(one) === headOf(part)));
    if (!young.has(table)) return [];
    if (known === undefined && idle.length === parts.length) return [["delete", "table", ...table.split(" ")]];
    return idle.map((part) => ["delete", "chain", ...table.split(" "), BUILT_IN.exec(part)![1]!]);
  });
}

/** What is in each table, as it is printed: chains, sets, flags. */
function tablesOf(text: string): Map<string, string[]> {
  const tables = new Map<string, string[]>();
  let parts: string[] = [];
  for (const line of text.split("\n")) {
    const [, name] = /^table (\S+ \S+) \{$/.exec(line) ?? [];
    if (name !== undefined) tables.set(name, (parts = []));
    else if (/^\t[^\t}]/.test(line)) parts.push(line);
    else if (line.startsWith("\t")) parts.push(`${parts.pop() ?? ""}\n${line}`);
  }
  return tables;
}

function headOf(part: string): string {
  return part.split("\n", 1)[0]!;
}
