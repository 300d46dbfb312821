import type { Layout, Parent } from "./layout.ts";
import type { Rule, Table } from "./table-text.ts";

/** `mode: allow`: the call of our chain in the administrator's, and the rules that are taken out of it. */

/** Most bytes that the kernel keeps as a rule's comment, and what of them is left beside mark, name and count. */
const COMMENT = 128;
const PIECE = COMMENT - "wkfs-out::99/99:".length - 32;

interface TakenOut {
  readonly rule: string;
  /** The handles of its placeholders. */
  readonly handles: readonly number[];
}

/** What is wrong in the parent, in words. */
export function missingFromParent(table: Table, layout: Layout, parent: Parent): string[] {
  const chain = table.chains.get(parent.chain);
  const { family, name } = layout.table;
  if (chain === undefined) return [`there is no chain ${parent.chain} in the table ${family} ${name}`];
  const missing: string[] = [];
  const calls = chain.rules.filter((rule) => rule.text === call(layout)).length;
  if (calls === 0) missing.push(`${parent.chain} does not jump to ${layout.chain}`);
  else if (calls > 1) missing.push(`${parent.chain} jumps to ${layout.chain} ${calls} times`);
  if (takenOut(chain.rules, layout).some(({ rule }) => !listed(rule, parent.takeOut)))
    missing.push(`rules of ${parent.chain} that are no longer to be taken out are not back`);
  for (const { text } of chain.rules)
    if (listed(text, parent.takeOut)) missing.push(`the rule "${text}" is in ${parent.chain} again`);
  return missing;
}

/** The commands that make the parent what it shall be. Rules are found by their handles, which are never used twice. */
export function parentCommands(table: Table, layout: Layout, parent: Parent): string[] {
  const rules = table.chains.get(parent.chain)?.rules ?? [];
  const at = `${layout.table.family} ${layout.table.name} ${parent.chain}`;
  const calls = rules.filter((rule) => rule.text === call(layout));
  const next = rules.filter((rule) => !calls.includes(rule))[parent.position - 1];
  return [
    // First, because what it is to stand before may be taken out below.
    next === undefined ? `add rule ${at} ${call(layout)}` : `insert rule ${at} handle ${next.handle} ${call(layout)}`,
    ...calls.map(({ handle }) => `delete rule ${at} handle ${handle}`),
    ...takenOut(rules, layout).flatMap((group) => (listed(group.rule, parent.takeOut) ? [] : putBack(at, group))),
    ...rules.flatMap(({ handle, text }) =>
      listed(text, parent.takeOut) ? replace(at, [handle], placeholders(layout, text)) : [],
    ),
  ];
}

/** The commands that put back what is out. */
export function putBackCommands(table: Table | undefined, layout: Layout, parent: Parent): string[] {
  const at = `${layout.table.family} ${layout.table.name} ${parent.chain}`;
  const rules = table?.chains.get(parent.chain)?.rules ?? [];
  return takenOut(rules, layout).flatMap((group) => putBack(at, group));
}

/** The commands that take out every call of our chain, also those that somebody else made: a chain that is called stays. */
export function uncallCommands(table: Table, layout: Layout): string[] {
  const { family, name } = layout.table;
  return [...table.chains].flatMap(([chain, { rules }]) =>
    rules
      .filter(({ text }) => callsOurs(text, layout.chain))
      .map(({ handle }) => `delete rule ${family} ${name} ${chain} handle ${handle}`),
  );
}

function call({ chain }: Layout): string {
  return `jump ${chain} comment "wkfs"`;
}

function callsOurs(rule: string, chain: string): boolean {
  const words = rule.replace(/ comment "[^"]*"$/, "").split(" ");
  return (words.at(-2) === "jump" || words.at(-2) === "goto") && words.at(-1) === chain;
}

/**
 * What stands in the place of a rule that was taken out: rules without effect, whose comments hold the rule, in pieces. So
 * the kernel itself remembers what stood where, and a crash loses nothing.
 */
function placeholders({ chain }: Layout, rule: string): string[] {
  // The quotes around a comment are all that nft knows: there is none inside.
  const text = rule.replaceAll(/["%\\]|[^\x20-\x7e]+/g, encodeURIComponent);
  const count = Math.ceil(text.length / PIECE);
  return Array.from({ length: count }, (_, index) => {
    const piece = text.slice(index * PIECE, (index + 1) * PIECE);
    return `continue comment "wkfs-out:${chain}:${index + 1}/${count}:${piece}"`;
  });
}

/** The rules that are out: where all pieces stand together. */
function takenOut(rules: readonly Rule[], { chain }: Layout): TakenOut[] {
  const found: TakenOut[] = [];
  const mark = `continue comment "wkfs-out:${chain}:`;
  for (const [first, { text }] of rules.entries()) {
    const count = text.startsWith(`${mark}1/`) ? Number(/^\d+/.exec(text.slice(mark.length + 2))) : 0;
    const pieces = rules.slice(first, first + count);
    if (count === 0 || !pieces.every((piece, index) => piece.text.startsWith(`${mark}${index + 1}/${count}:`)))
      continue;
    const whole = pieces.map((piece, index) => piece.text.slice(`${mark}${index + 1}/${count}:`.length, -1)).join("");
    const rule = decoded(whole);
    if (rule === undefined) continue;
    found.push({ rule, handles: pieces.map(({ handle }) => handle) });
  }
  return found;
}

/** Undefined when somebody has written in it. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function putBack(at: string, { rule, handles }: TakenOut): string[] {
  return replace(at, handles, [rule]);
}

/** Not `replace rule`: one may stand for several. */
function replace(at: string, handles: readonly number[], rules: readonly string[]): string[] {
  return [
    ...rules.map((rule) => `insert rule ${at} handle ${handles[0]} ${rule}`),
    ...handles.map((handle) => `delete rule ${at} handle ${handle}`),
  ];
}

function listed(rule: string, specs: readonly string[]): boolean {
  return specs.some((spec) => plain(spec) === plain(rule));
}

/** A rule without what is not of its kind: how it was counted, its handle, spaces. */
function plain(rule: string): string {
  return rule
    .replace(/\s*# handle \d+$/, "")
    .replaceAll(/counter packets \d+ bytes \d+/g, "counter")
    .replaceAll(/\s+/g, " ")
    .trim();
}
