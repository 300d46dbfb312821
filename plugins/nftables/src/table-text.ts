/** What `nft --stateless --handle --terse list table` prints, as far as it concerns us. */

export interface Table {
  /** What is said of the table itself, such as `flags dormant`. */
  readonly about: readonly string[];
  /** Whether iptables made it, and thinks that it alone writes it. */
  readonly iptables: boolean;
  readonly sets: ReadonlyMap<string, SetText>;
  readonly chains: ReadonlyMap<string, Chain>;
  /** How many parts it has, of those that are neither sets nor chains as well. */
  readonly parts: number;
}

export interface SetText {
  readonly lines: readonly string[];
  /** Elements that it holds, where this nft and this kernel tell: both of 2025. */
  readonly count: number | undefined;
}

interface Chain {
  /** `type filter hook input priority filter - 10; policy accept;` for a base chain. */
  readonly hook: string | undefined;
  readonly rules: readonly Rule[];
}

export interface Rule {
  readonly handle: number;
  readonly text: string;
}

/** Reads the first table of the text: asking for one may print it twice. */
export function parseTable(text: string): Table {
  const about: string[] = [];
  const sets = new Map<string, SetText>();
  const chains = new Map<string, Chain>();
  let parts = 0;
  let part: { readonly kind: string; readonly name: string; readonly lines: string[] } | undefined;
  const lines = text.split("\n");
  const first = lines.findIndex((line) => line.startsWith("table "));
  const iptables = lines.slice(0, first).some((line) => line.includes("managed by iptables"));
  for (const line of lines.slice(first + 1)) {
    if (line === "}") break;
    const [, kind, name] = /^\t(\w+) (\S+) \{/.exec(line) ?? [];
    if (kind !== undefined && name !== undefined) {
      part = { kind, name, lines: [] };
      parts += 1;
    } else if (line === "\t}") {
      if (part?.kind === "set") sets.set(part.name, setOf(part.lines));
      if (part?.kind === "chain") chains.set(part.name, chainOf(part.lines));
      part = undefined;
    } else if (line.trim() !== "") (part?.lines ?? about).push(line.trim());
  }
  return { about, iptables, sets, chains, parts };
}

function setOf(lines: readonly string[]): SetText {
  const count = lines.map((line) => /# count (\d+)$/.exec(line)?.[1]).find((found) => found !== undefined);
  return { lines: lines.map(bare), count: count === undefined ? undefined : Number(count) };
}

function chainOf(lines: readonly string[]): Chain {
  const hook = lines.find((line) => line.startsWith("type "));
  const rules = lines.flatMap((line) => {
    const handle = /# handle (\d+)$/.exec(line)?.[1];
    return handle === undefined ? [] : [{ handle: Number(handle), text: bare(line) }];
  });
  return { hook, rules };
}

function bare(line: string): string {
  return line.replace(/\s*# \w+ \d+$/, "");
}
