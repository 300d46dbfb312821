import { WkfsError } from "@wkfs/core";
import type { Family } from "./config.ts";
import type { Netfilter } from "./netfilter.ts";
import { type Ruleset, transaction, wordsOf } from "./ruleset.ts";

interface Set {
  readonly size: number;
  /** When each element ends, in ms since the epoch. */
  readonly elements: Map<string, number>;
}

export interface RehearsalOptions {
  readonly family: Family;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Called with each transaction that would go to the kernel, before it is tried. */
  readonly print: (text: string) => void;
}

const TARGETS = ["ACCEPT", "DROP", "RETURN", "REJECT", "LOG"];

/**
 * A packet filter in memory that knows chains, rules, sets and their errors: what a dry run writes to, and what the logic of
 * this plugin is tested on. It takes the lines that this plugin writes, and refuses what the kernel would refuse of them.
 */
export class RehearsalNetfilter implements Netfilter {
  /** Set to refuse everything that writes, as a kernel does that lacks a module or a right. */
  broken: string | undefined;
  readonly #options: RehearsalOptions;
  #chains = new Map<string, string[]>(["INPUT", "FORWARD", "OUTPUT"].map((chain) => [chain, []]));
  readonly #sets = new Map<string, Set>();

  constructor(options: RehearsalOptions) {
    this.#options = options;
  }

  async save(): Promise<string> {
    const lines = [...this.#chains.keys()].map(
      (chain) => `:${chain} ${["INPUT", "FORWARD", "OUTPUT"].includes(chain) ? "ACCEPT" : "-"} [0:0]`,
    );
    for (const [chain, rules] of this.#chains) lines.push(...rules.map((rule) => `-A ${chain} ${rule}`));
    return transaction(lines);
  }

  async restore(text: string): Promise<void> {
    const program = this.#options.family === "ipv4" ? "iptables-restore" : "ip6tables-restore";
    this.#options.print(`${program} --noflush <<'END'\n${text}END`);
    const chains = new Map([...this.#chains].map(([chain, rules]) => [chain, [...rules]]));
    for (const [index, line] of text.split("\n").entries()) {
      const refusal = this.broken ?? this.#restoreLine(chains, line);
      if (refusal !== undefined) throw refused(`${program}: line ${index + 1} failed: ${refusal}`);
    }
    this.#chains = chains;
  }

  async hasSets(): Promise<boolean> {
    return true;
  }

  async createSet(name: string, size: number, counters: boolean): Promise<void> {
    this.#options.print(
      `ipset create ${name} hash:ip,port family ${this.#options.family === "ipv4" ? "inet" : "inet6"} timeout 600 maxelem ${size}${counters ? " counters" : ""}`,
    );
    if (this.broken !== undefined) throw refused(this.broken);
    if (!this.#sets.has(name)) this.#sets.set(name, { size, elements: new Map() });
  }

  async describeSet(name: string): Promise<{ readonly fits: boolean; readonly count: number } | undefined> {
    const set = this.#standing(name);
    return set && { fits: true, count: set.elements.size };
  }

  async readSet(name: string): Promise<string[]> {
    const set = this.#standing(name);
    if (set === undefined) throw refused("The set with the given name does not exist");
    const now = this.#options.now();
    // In its last second an element has 1, as in the kernel: 0 would be no end at all.
    const left = (end: number) => Math.max(1, Math.floor((end - now) / 1000));
    return [...set.elements].map(([element, end]) => `${element} timeout ${left(end)}`);
  }

  async writeSet(lines: readonly string[]): Promise<void> {
    const refusals: string[] = [];
    for (const line of lines) {
      this.#options.print(`ipset -exist ${line}`);
      const refusal = this.broken ?? this.#setLine(line);
      if (refusal !== undefined) refusals.push(refusal);
    }
    if (refusals.some((refusal) => refusal.startsWith("Hash is full"))) {
      throw new WkfsError("FIREWALL_FULL", `ipset: ${refusals[0]}`, {
        hint: "Raise `size` of the firewall in the configuration.",
      });
    }
    if (refusals.length > 0) throw refused(refusals.join("; "));
  }

  async destroySet(name: string): Promise<void> {
    if (!this.#sets.has(name)) return;
    this.#options.print(`ipset destroy ${name}`);
    if ([...this.#chains.values()].flat().some((rule) => wordsOf(rule).includes(name)))
      throw refused("Set cannot be destroyed: it is in use by a kernel component");
    this.#sets.delete(name);
  }

  async close(): Promise<void> {}

  /** The filter table as it stands. */
  get ruleset(): Ruleset {
    return this.#chains;
  }

  #standing(name: string): Set | undefined {
    const set = this.#sets.get(name);
    const now = this.#options.now();
    for (const [element, end] of set?.elements ?? []) if (end <= now) set!.elements.delete(element);
    return set;
  }

  #setLine(line: string): string | undefined {
    const [command, name = "", element = "", , timeout] = line.split(" ");
    const set = this.#standing(name);
    if (set === undefined) return "The set with the given name does not exist";
    const port = Number(/:(\d+)$/.exec(element)?.[1]);
    if (!(port >= 1 && port <= 65_535)) return `Syntax error: '${port}' is out of range 0-65535`;
    if (element.includes(":") && element.split(",")[0]!.includes(":") !== (this.#options.family === "ipv6"))
      return "Syntax error: cannot parse the address";
    if (command === "del") {
      set.elements.delete(element);
      return undefined;
    }
    if (!set.elements.has(element) && set.elements.size >= set.size) return "Hash is full, cannot add more elements";
    set.elements.set(element, this.#options.now() + Number(timeout) * 1000);
    return undefined;
  }

  /** Why the kernel would refuse the line; undefined when it is done. */
  #restoreLine(chains: Map<string, string[]>, line: string): string | undefined {
    const declared = /^:(\S+) /.exec(line)?.[1];
    if (declared !== undefined) {
      chains.set(declared, []);
      return undefined;
    }
    const [, command, chain = "", rest = ""] = /^-([A-Z]) (\S+) ?(.*)$/.exec(line) ?? [];
    if (command === undefined) return ["*filter", "COMMIT", ""].includes(line) ? undefined : "unknown line";
    const rules = chains.get(chain);
    if (rules === undefined) return `No chain by that name: ${chain}`;
    const [, number, numbered = ""] = /^(\d+) (.*)$/.exec(rest) ?? [];
    const at = Number(number) - 1;
    switch (command) {
      case "A":
        rules.push(rest);
        return this.#faultOf(chains, rest);
      case "I":
        if (!(at >= 0 && at <= rules.length)) return "Index of insertion too big";
        rules.splice(at, 0, numbered);
        return this.#faultOf(chains, numbered);
      case "R":
        if (!(at >= 0 && at < rules.length)) return "Index of replacement too big";
        rules[at] = numbered;
        return this.#faultOf(chains, numbered);
      case "D": {
        const found = rules.findIndex((rule) => wordsOf(rule).join("\0") === wordsOf(rest).join("\0"));
        if (found < 0) return "Bad rule (does a matching rule exist in that chain?)";
        rules.splice(found, 1);
        return undefined;
      }
      case "F":
        rules.length = 0;
        return undefined;
      case "X":
        if (rules.length > 0) return "Directory not empty";
        if ([...chains.values()].flat().some((rule) => targetOf(rule) === chain)) return "Too many links";
        chains.delete(chain);
        return undefined;
      default:
        return `unknown command -${command}`;
    }
  }

  #faultOf(chains: ReadonlyMap<string, unknown>, rule: string): string | undefined {
    const words = wordsOf(rule);
    const set = words[words.indexOf("--match-set") + 1];
    if (words.includes("--match-set") && !this.#sets.has(set!)) return `Set ${set} doesn't exist.`;
    const target = targetOf(rule);
    if (target !== undefined && !TARGETS.includes(target) && !chains.has(target))
      return `No chain by that name: ${target}`;
    const port = words.includes("--dport") ? Number(words[words.indexOf("--dport") + 1]) : 1;
    return port >= 1 && port <= 65_535 ? undefined : `invalid port/service "${port}" specified`;
  }
}

function targetOf(rule: string): string | undefined {
  const words = wordsOf(rule);
  const at = words.indexOf("-j");
  return at < 0 ? undefined : words[at + 1];
}

function refused(what: string): WkfsError {
  return new WkfsError("FIREWALL_FAILED", what, { hint: "This is a rehearsal: the kernel would say the same." });
}
