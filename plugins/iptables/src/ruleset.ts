import type { ProtectedPorts } from "@wkfs/core";
import type { IptablesConfig } from "./config.ts";
import { parseRule } from "./lease-text.ts";

/**
 * The texts of iptables-save and iptables-restore: what our chains shall hold, what a ruleset does hold, and the
 * transactions between the two. Rules are written as iptables-save prints them, so that what was written is what is read.
 * iptables-restore(8), iptables-extensions(8).
 */

/** The filter table, as far as it concerns us: chains with their rules, each rule without its `-A CHAIN`. */
export type Ruleset = ReadonlyMap<string, readonly string[]>;

export function parseRuleset(saved: string): Ruleset {
  const chains = new Map<string, string[]>();
  for (const line of saved.split("\n")) {
    const [, declared, named, rule = ""] = /^(?::(\S+) |-A (\S+) ?(.*)$)/.exec(line) ?? [];
    const name = declared ?? named;
    if (name === undefined) continue;
    let rules = chains.get(name);
    if (rules === undefined) chains.set(name, (rules = []));
    if (named !== undefined) rules.push(rule);
  }
  return chains;
}

/** Words of a rule; iptables-save quotes some of them. Two rules are the same when their words are. */
export function wordsOf(rule: string): string[] {
  return [...rule.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(
    ([, quoted, bare]) => bare ?? quoted!.replaceAll(/\\(.)/g, "$1"),
  );
}

function sameRule(a: string, b: string): boolean {
  const [left, right] = [wordsOf(a), wordsOf(b)];
  return left.length === right.length && left.every((word, index) => word === right[index]);
}

/** The comment of our jumps: several guards on one host know each other by it. */
const JUMP_MARK = "wkfs";
/** iptables takes 15 ports in one multiport match. */
const MULTIPORT = 15;

/** The chain that holds leases as rules, where there is no set. */
export function openChain(config: IptablesConfig): string {
  return `${config.chain}-open`;
}

/**
 * What our chain shall hold. `sets` says whether leases are elements of a set or rules of `openChain`; `guardUntil`, in ms
 * since the epoch, when the kernel stops to guard by itself. `sockets` whether the kernel knows the match of that name.
 */
export function chainRules(
  config: IptablesConfig,
  protect: ProtectedPorts,
  sets: boolean,
  guardUntil?: number,
  sockets = true,
): string[] {
  const lease = sets ? `-m set --match-set ${config.set} src,dst -j ACCEPT` : `-j ${openChain(config)}`;
  if (config.mode === "allow" && guardUntil === undefined) return [lease];
  const meanwhile = guardUntil === undefined ? "" : ` -m time --datestop ${utc(guardUntil)}`;
  return [
    "-i lo -j RETURN",
    "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
    ...(sockets ? [STANDING] : []),
    lease,
    ...(["tcp", "udp"] as const).flatMap((protocol) =>
      chunks(protect[protocol], MULTIPORT).map(
        (ports) => `-p ${protocol} -m multiport --dports ${ports.join(",")}${meanwhile} -j DROP`,
      ),
    ),
  ];
}

/**
 * A connection that stood before anything on this host tracked connections is not known to be one until the server says
 * something. It is by its socket: nothing that opens a connection matches.
 */
const STANDING = "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m socket -j RETURN";

/** A time of day as iptables reads and prints it: in UTC unless it is told otherwise. */
function utc(time: number): string {
  return new Date(Math.ceil(time / 1000) * 1000).toISOString().slice(0, 19);
}

function jumpRule(config: IptablesConfig): string {
  return `-m comment --comment ${JUMP_MARK} -j ${config.chain}`;
}

/** What of ours is not as it shall be, in words; empty when everything is. */
export function missingFrom(
  ruleset: Ruleset,
  config: IptablesConfig,
  rules: readonly string[],
  sets: boolean,
): string[] {
  const parent = ruleset.get(config.parent) ?? [];
  const chain = ruleset.get(config.chain);
  const jumps = positions(parent, jumpRule(config));
  const missing: string[] = [];
  if (chain === undefined) missing.push(`the chain ${config.chain} is gone`);
  else if (chain.length !== rules.length || !chain.every((rule, index) => sameRule(rule, rules[index]!))) {
    missing.push(`the chain ${config.chain} holds other rules than wkfs wrote`);
  }
  if (!sets && !ruleset.has(openChain(config))) missing.push(`the chain ${openChain(config)} is gone`);
  else if (!sets && foreignRules(ruleset, config) > 0)
    missing.push(`the chain ${openChain(config)} holds rules that are no leases`);
  if (stale(ruleset, config).length > 0)
    missing.push(`rules of ${config.parent} that are no longer to be taken out are not back`);
  if (jumps.length === 0) missing.push(`${config.parent} does not jump to ${config.chain}`);
  else if (jumps.length > 1) missing.push(`${config.parent} jumps to ${config.chain} ${jumps.length} times`);
  else if (config.mode === "guard" && parent.slice(0, jumps[0]).some((rule) => !isGuardJump(rule))) {
    missing.push(`the jump to ${config.chain} does not stand first in ${config.parent}`);
  }
  for (const spec of config.takeOut) {
    if (positions(parent, spec).length > 0) missing.push(`the rule "${spec}" is in ${config.parent} again`);
  }
  return missing;
}

/** The jump of this or another instance of wkfs. */
function isGuardJump(rule: string): boolean {
  const words = wordsOf(rule);
  return words.length === 6 && words[3] === JUMP_MARK && words[4] === "-j";
}

/**
 * The transaction that makes our chains what they shall be, from whatever the ruleset holds. The kernel takes it as
 * a whole: there is no moment without a guard. Leases that are rules stay.
 */
export function attachTransaction(
  ruleset: Ruleset,
  config: IptablesConfig,
  rules: readonly string[],
  sets: boolean,
): string {
  const { parent, chain } = config;
  const before = ruleset.get(parent) ?? [];
  const lines = [`:${chain} - [0:0]`];
  if (!sets && !ruleset.has(openChain(config))) lines.push(`:${openChain(config)} - [0:0]`);
  else if (!sets && foreignRules(ruleset, config) > 0) {
    const leases = (ruleset.get(openChain(config)) ?? []).filter((rule) => parseRule(rule) !== undefined);
    lines.push(`-F ${openChain(config)}`, ...leases.map((rule) => `-A ${openChain(config)} ${rule}`));
  }
  lines.push(...rules.map((rule) => `-A ${chain} ${rule}`), ...stale(ruleset, config));
  for (const spec of config.takeOut) {
    for (const position of positions(before, spec)) {
      lines.push(`-R ${parent} ${position + 1} -m comment --comment ${placeholder(config, spec)}`);
    }
  }
  lines.push(...positions(before, jumpRule(config)).map(() => `-D ${parent} ${jumpRule(config)}`));
  const rest = before.length - positions(before, jumpRule(config)).length;
  const position = config.mode === "guard" ? 1 : Math.min(config.position, rest + 1);
  lines.push(`-I ${parent} ${position} ${jumpRule(config)}`);
  return transaction(lines);
}

/** The transaction that puts taken-out rules back to their places; undefined when there are none. */
export function putBackTransaction(ruleset: Ruleset, config: IptablesConfig): string | undefined {
  const lines = putBackLines(ruleset, config);
  return lines.length === 0 ? undefined : transaction(lines);
}

/** The transaction that takes everything of ours out; undefined when there is nothing. */
export function detachTransaction(ruleset: Ruleset, config: IptablesConfig): string | undefined {
  const chains = [config.chain, openChain(config)].filter((name) => ruleset.has(name));
  // Also jumps that the administrator added: a chain that is jumped to cannot be removed.
  const jumps = [...ruleset].flatMap(([name, rules]) =>
    chains.includes(name)
      ? []
      : rules.filter((rule) => chains.includes(targetOf(rule))).map((rule) => `-D ${name} ${rule}`),
  );
  const lines = [
    ...putBackLines(ruleset, config),
    ...jumps,
    ...chains.map((name) => `-F ${name}`),
    ...chains.map((name) => `-X ${name}`),
  ];
  return lines.length === 0 ? undefined : transaction(lines);
}

export function transaction(lines: readonly string[]): string {
  return `*filter\n${lines.join("\n")}\nCOMMIT\n`;
}

/**
 * What stands in the place of a rule that was taken out: a rule without effect, whose comment holds the rule. So the kernel
 * itself remembers what stood where, and a crash loses nothing.
 */
function placeholder(config: IptablesConfig, spec: string): string {
  return `${placeholderMark(config)}${Buffer.from(spec).toString("base64url")}`;
}

function placeholderMark({ chain }: IptablesConfig): string {
  return `wkfs-out:${chain}:`;
}

/** The lines that put back what a former run took out and this configuration does not. */
function stale(ruleset: Ruleset, config: IptablesConfig): string[] {
  const kept = config.mode === "allow" ? config.takeOut : [];
  return putBackLines(ruleset, config, (spec) => !kept.some((other) => sameRule(other, spec)));
}

/** How many rules of the chain of leases are none. */
function foreignRules(ruleset: Ruleset, config: IptablesConfig): number {
  return (ruleset.get(openChain(config)) ?? []).filter((rule) => parseRule(rule) === undefined).length;
}

function targetOf(rule: string): string {
  const words = wordsOf(rule);
  return words[words.findIndex((word) => word === "-j" || word === "-g") + 1] ?? "";
}

function putBackLines(
  ruleset: Ruleset,
  config: IptablesConfig,
  which: (spec: string) => boolean = () => true,
): string[] {
  return (ruleset.get(config.parent) ?? []).flatMap((rule, index) => {
    const words = wordsOf(rule);
    const mark = placeholderMark(config);
    if (words.length !== 4 || words[2] !== "--comment" || !words[3]!.startsWith(mark)) return [];
    const spec = Buffer.from(words[3]!.slice(mark.length), "base64url").toString();
    return which(spec) ? [`-R ${config.parent} ${index + 1} ${spec}`] : [];
  });
}

function positions(rules: readonly string[], rule: string): number[] {
  return rules.flatMap((other, index) => (sameRule(other, rule) ? [index] : []));
}

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
