import type { ElementName, Nftables, SetReading, TableName } from "./nftables.ts";
import { refusal } from "./program.ts";
import { parseTable } from "./table-text.ts";

interface FakeTable {
  /** Whether it is one of those that iptables makes. */
  readonly iptables: boolean;
  dormant: boolean;
  readonly sets: Map<string, FakeSet>;
  readonly chains: Map<string, FakeChain>;
}
interface FakeSet {
  readonly lines: readonly string[];
  /** When each element ends, in ms since the epoch. */
  readonly elements: Map<string, number>;
}
interface FakeChain {
  readonly hook: string | undefined;
  readonly rules: { readonly handle: number; readonly text: string }[];
}
type Ruleset = Map<string, FakeTable>;

export interface RehearsalOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Called with each transaction that would go to the kernel, before it is tried. */
  readonly print: (text: string) => void;
}

/**
 * nftables in memory: tables, chains, rules, sets and their errors. What the logic of this plugin is tested on, and what
 * a dry run can write to. It takes the commands that this plugin writes, and refuses what the kernel would refuse of them.
 */
export class RehearsalNftables implements Nftables {
  /** Set to refuse everything that writes, as a kernel does that lacks a right. */
  broken: string | undefined;
  readonly #options: RehearsalOptions;
  #ruleset: Ruleset = new Map();
  #handle = 0;

  constructor(options: RehearsalOptions) {
    this.#options = options;
  }

  /** Takes over a table as nft printed it. Elements are not in that text: a rehearsal knows of no leases. */
  hold({ family, name }: TableName, text: string): void {
    const { about, iptables, sets, chains } = parseTable(text);
    const rules = [...chains.values()].flatMap((chain) => chain.rules);
    this.#handle = Math.max(this.#handle, ...rules.map(({ handle }) => handle));
    this.#ruleset.set(`${family} ${name}`, {
      iptables,
      dormant: about.some((line) => /^flags .*dormant/.test(line)),
      sets: new Map([...sets].map(([set, { lines }]) => [set, { lines, elements: new Map() }])),
      chains: new Map([...chains].map(([chain, held]) => [chain, { hook: held.hook, rules: [...held.rules] }])),
    });
  }

  async write(commands: string): Promise<void> {
    this.#options.print(`nft -f - <<'END'\n${commands}END`);
    if (this.broken !== undefined) throw refusal(["nft"], this.broken);
    this.#sweep();
    const ruleset = copy(this.#ruleset);
    for (const [command] of commands.matchAll(/^\S.*\{\n[^}]*\}$|^\S.*$/gm)) {
      const fault = this.#run(ruleset, command);
      if (fault !== undefined) throw refusal(["nft"], `Error: ${fault}\n${command}`);
    }
    this.#ruleset = ruleset;
  }

  async describe({ family, name }: TableName): Promise<string | undefined> {
    const table = this.#ruleset.get(`${family} ${name}`);
    if (table === undefined) return undefined;
    const parts = [
      ...[...table.sets].map(([set, { lines }]) => [
        `set ${set} { # handle 1`,
        ...lines.map((line) => `\t${line}`),
        "}",
      ]),
      ...[...table.chains].map(([chain, { hook, rules }]) => [
        `chain ${chain} { # handle 1`,
        ...(hook === undefined ? [] : [`\t${hook}`]),
        ...rules.map(({ handle, text }) => `\t${text} # handle ${handle}`),
        "}",
      ]),
    ];
    const about = table.dormant ? ["\tflags dormant"] : [];
    const lines = [...about, ...parts.flat().map((line) => `\t${line}`)];
    const warning = table.iptables
      ? [`# Warning: table ${family} ${name} is managed by iptables-nft, do not touch!`]
      : [];
    return [...warning, `table ${family} ${name} { # handle 1`, ...lines, "}", ""].join("\n");
  }

  async readSet({ family, name }: TableName, set: string): Promise<SetReading | undefined> {
    this.#sweep();
    const elements = this.#ruleset.get(`${family} ${name}`)?.sets.get(set)?.elements;
    if (elements === undefined) return undefined;
    const now = this.#options.now();
    const elem = [...elements].map(([element, end]) => {
      const [address, ...numbers] = element.split(" . ");
      const concat = [address, ...numbers.map(Number)];
      const expires = Math.floor((end - now) / 1000);
      return Number.isFinite(end) ? { elem: { val: { concat }, timeout: 60, expires } } : { concat };
    });
    return { json: JSON.stringify({ nftables: [{ set: { family, name: set, table: name, elem } }] }), age: 0 };
  }

  async holds({ family, name }: TableName, elements: readonly ElementName[]): Promise<boolean[]> {
    this.#sweep();
    const sets = this.#ruleset.get(`${family} ${name}`)?.sets;
    return elements.map(({ set, element }) => sets?.get(set)?.elements.has(element) === true);
  }

  async close(): Promise<void> {}

  /** The rules of a chain as they stand. */
  rulesOf(table: string, chain: string): string[] | undefined {
    return this.#ruleset
      .get(table)
      ?.chains.get(chain)
      ?.rules.map(({ text }) => text);
  }

  /** Everything as it stands. */
  async snapshot(): Promise<string> {
    const tables = [...this.#ruleset.keys()].map((key) => key.split(" ") as [TableName["family"], string]);
    const texts = await Promise.all(tables.map(([family, name]) => this.describe({ family, name })));
    return texts.join("").replaceAll(/ # handle \d+/g, "");
  }

  #sweep(): void {
    const now = this.#options.now();
    for (const table of this.#ruleset.values())
      for (const { elements } of table.sets.values())
        for (const [element, end] of elements) if (end <= now) elements.delete(element);
  }

  /** Why the kernel would refuse the command; undefined when it is done. */
  #run(ruleset: Ruleset, command: string): string | undefined {
    const [, verb = "", kind = "", family, table = "", rest = ""] =
      /^(\w+) (\w+) (inet|ip|ip6) (\S+) ?([^]*)$/.exec(command) ?? [];
    const key = `${family} ${table}`;
    const found = ruleset.get(key);
    if (kind === "table" && verb === "add") {
      ruleset.set(key, {
        iptables: found?.iptables ?? false,
        dormant: rest.includes("dormant"),
        sets: found?.sets ?? new Map(),
        chains: found?.chains ?? new Map(),
      });
      return undefined;
    }
    if (found === undefined) return "No such file or directory";
    if (kind === "table") {
      ruleset.delete(key);
      return undefined;
    }
    const [, name = "", spec = ""] = /^(\S+) ?([^]*)$/.exec(rest) ?? [];
    switch (kind) {
      case "chain":
        return this.#chain(found, verb, name, spec);
      case "set":
        return this.#set(found, verb, name, spec);
      case "rule":
        return this.#rule(found, verb, name, spec);
      case "element":
        return this.#elements(found, verb, name, spec);
      default:
        return "syntax error";
    }
  }

  #chain({ chains }: FakeTable, verb: string, name: string, spec: string): string | undefined {
    const chain = chains.get(name);
    const hook = /\{ (.*;) \}/.exec(spec)?.[1];
    if (verb === "add") {
      if (chain !== undefined && hook !== undefined && hook !== chain.hook) return "Operation not supported";
      if (chain === undefined) chains.set(name, { hook, rules: [] });
      return undefined;
    }
    if (chain === undefined) return "No such file or directory";
    if (verb === "flush") chain.rules.length = 0;
    else if (chain.rules.length > 0 || rulesIn(chains).some((text) => text.includes(`jump ${name} `)))
      return "Device or resource busy";
    else chains.delete(name);
    return undefined;
  }

  #set({ sets, chains }: FakeTable, verb: string, name: string, spec: string): string | undefined {
    if (verb === "add") {
      const lines = spec.slice(2, -3).split("; ");
      if (!sets.has(name)) sets.set(name, { lines, elements: new Map() });
      return undefined;
    }
    if (verb === "flush") {
      sets.get(name)?.elements.clear();
      return sets.has(name) ? undefined : "No such file or directory";
    }
    if (rulesIn(chains).some((text) => text.includes(`@${name} `))) return "Device or resource busy";
    return sets.delete(name) ? undefined : "No such file or directory";
  }

  #rule({ sets, chains }: FakeTable, verb: string, name: string, spec: string): string | undefined {
    const rules = chains.get(name)?.rules;
    const [, handle, numbered] = /^handle (\d+) ?(.*)$/.exec(spec) ?? [];
    const at = handle === undefined ? rules?.length : rules?.findIndex((rule) => rule.handle === Number(handle));
    if (rules === undefined || at === undefined || at < 0) return "No such file or directory";
    const text = numbered ?? spec;
    const set = / @(\S+)/.exec(text)?.[1];
    const chain = /\bjump (\S+)/.exec(text)?.[1];
    if ((set !== undefined && !sets.has(set)) || (chain !== undefined && !chains.has(chain)))
      return "No such file or directory";
    this.#handle += 1;
    if (verb === "delete") rules.splice(at, 1);
    else rules.splice(verb === "insert" && handle === undefined ? 0 : at, 0, { handle: this.#handle, text });
    return undefined;
  }

  #elements({ sets }: FakeTable, verb: string, name: string, spec: string): string | undefined {
    const set = sets.get(name);
    if (set === undefined) return "No such file or directory";
    const size = Number(set.lines.find((line) => line.startsWith("size "))?.slice(5));
    const now = this.#options.now();
    for (const line of spec.slice(2, -2).split(",\n")) {
      const [, element = "", port, seconds, milliseconds] =
        /^(\S+ \. \d+ \. (\d+))(?: timeout (\d+)s(\d+)ms)?$/.exec(line) ?? [];
      if (!(Number(port) <= 65_535)) return "Service out of range";
      if (verb === "delete" && !set.elements.delete(element))
        return "Could not process rule: No such file or directory";
      // What is there keeps its timeout, whatever stands in the command.
      if (verb === "delete") continue;
      if (set.elements.has(element)) {
        if (verb === "create") return "Could not process rule: File exists";
        continue;
      }
      if (set.elements.size >= size) return "Could not process rule: Too many open files in system";
      set.elements.set(element, seconds === undefined ? Infinity : now + Number(seconds) * 1000 + Number(milliseconds));
    }
    return undefined;
  }
}

function copy(ruleset: Ruleset): Ruleset {
  return new Map(
    [...ruleset].map(([key, { iptables, dormant, sets, chains }]) => [
      key,
      {
        iptables,
        dormant,
        sets: new Map([...sets].map(([name, { lines, elements }]) => [name, { lines, elements: new Map(elements) }])),
        chains: new Map([...chains].map(([name, { hook, rules }]) => [name, { hook, rules: [...rules] }])),
      },
    ]),
  );
}

function rulesIn(chains: FakeTable["chains"]): string[] {
  return [...chains.values()].flatMap(({ rules }) => rules.map(({ text }) => `${text} `));
}
