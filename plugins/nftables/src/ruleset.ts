import type { AddressFamily, FirewallChange } from "@wkfs/core";
import { COUNTER, type Layout, kindLines, settingLines } from "./layout.ts";
import { changeCommands } from "./lease-text.ts";
import { missingFromParent, parentCommands, putBackCommands, uncallCommands } from "./parent-chain.ts";
import type { SetText, Table } from "./table-text.ts";

/** What of ours is not as it shall be, and the transactions that make it so and unmake it. */

/**
 * What is wrong, in words; empty when nothing is. `lines` are those of our chain as this nft prints them, which is not
 * always how they were written.
 */
export function missingFrom(table: Table | undefined, layout: Layout, lines: readonly string[]): string[] {
  const name = `${layout.table.family} ${layout.table.name}`;
  if (table === undefined) return [`the table ${name} is gone`];
  const missing: string[] = [];
  if (switchedOff(table, layout)) missing.push(`the table ${name} is switched off (dormant)`);
  for (const [family, set] of layout.sets) {
    const found = table.sets.get(set);
    if (found === undefined) missing.push(`the set ${set} is gone`);
    else if (!fits(found, family, layout)) missing.push(`the set ${set} is of another kind or size`);
  }
  if (!table.chains.has(layout.chain)) missing.push(`the chain ${layout.chain} is gone`);
  else if (!same(printed(table, layout), lines))
    missing.push(`the chain ${layout.chain} holds other rules than wkfs wrote`);
  if ("chain" in layout.caller) missing.push(...missingFromParent(table, layout, layout.caller));
  return missing;
}

/** Our chain as it stands, its hook first. */
export function printed(table: Table | undefined, layout: Layout): string[] {
  const chain = table?.chains.get(layout.chain);
  if (chain === undefined) return [];
  return [...(chain.hook === undefined ? [] : [chain.hook]), ...chain.rules.map(({ text }) => text)];
}

/** Our chain as we write it: how it is printed by the versions of nft known today. */
export function written({ caller, rules }: Layout): string[] {
  return "hook" in caller ? [caller.hook, ...rules] : [...rules];
}

/** The sets that must be made anew: not every kernel can change the size of one. */
export function unfitSets(table: Table | undefined, layout: Layout): [AddressFamily, string][] {
  return [...layout.sets].filter(([family, set]) => {
    const found = table?.sets.get(set);
    return found !== undefined && !fits(found, family, layout);
  });
}

/**
 * The transaction that makes everything what it shall be, from whatever there is. The kernel takes it as a whole, so
 * there is no moment without a guard. Elements stay; `leases` are those of the sets that are made anew.
 */
export function attachCommands(
  table: Table | undefined,
  layout: Layout,
  leases: FirewallChange["open"],
  now: number,
): string {
  const at = `${layout.table.family} ${layout.table.name}`;
  const unfit = new Map(unfitSets(table, layout));
  const chain = `${at} ${layout.chain}`;
  const { caller } = layout;
  return [
    ...("hook" in caller ? [`add table ${at}`] : []),
    `add chain ${chain}`,
    `flush chain ${chain}`,
    ...[...unfit.values()].map((set) => `delete set ${at} ${set}`),
    ...[...layout.sets]
      .filter(([key, set]) => unfit.has(key) || !table?.sets.has(set))
      .map(([key, set]) => `add set ${at} ${set} { ${[...kindLines(key), ...settingLines(layout)].join("; ")}; }`),
    // A chain cannot be moved to another hook or priority.
    ...("hook" in caller ? [`delete chain ${chain}`, `add chain ${chain} { ${caller.hook} }`] : []),
    ...layout.rules.map((rule) => `add rule ${chain} ${rule}`),
    ...("chain" in caller && table !== undefined ? parentCommands(table, layout, caller) : []),
    changeCommands(layout, { open: leases, close: [], before: [] }, now),
  ].join("\n");
}

/** The transaction that puts back the administrator's rules; undefined when none is out. */
export function releaseCommands(table: Table | undefined, layout: Layout): string | undefined {
  return "chain" in layout.caller ? transaction(putBackCommands(table, layout, layout.caller)) : undefined;
}

/** The transaction that takes everything of ours out; undefined when there is nothing. */
export function detachCommands(table: Table | undefined, layout: Layout): string | undefined {
  if (table === undefined) return undefined;
  const { caller } = layout;
  const at = `${layout.table.family} ${layout.table.name}`;
  const chains = table.chains.has(layout.chain) ? [layout.chain] : [];
  const sets = [...layout.sets.values()].filter((set) => table.sets.has(set));
  // A table in which somebody else has something is theirs as well.
  const empty = "hook" in caller && table.parts === chains.length + sets.length;
  return transaction([
    ...("chain" in caller ? [...putBackCommands(table, layout, caller), ...uncallCommands(table, layout)] : []),
    ...chains.flatMap((chain) => [`flush chain ${at} ${chain}`, `delete chain ${at} ${chain}`]),
    ...sets.map((set) => `delete set ${at} ${set}`),
    ...(empty ? [`delete table ${at}`] : []),
  ]);
}

function transaction(commands: readonly string[]): string | undefined {
  return commands.length === 0 ? undefined : `${commands.join("\n")}\n`;
}

/** Whether somebody switched our table off; that of the administrator is theirs to switch. */
export function switchedOff(table: Table | undefined, { caller }: Layout): boolean {
  return "hook" in caller && (table?.about.some((line) => /^flags .*dormant/.test(line)) ?? false);
}

/** The sets under our names that are somebody else's. */
export function foreignSets(table: Table | undefined, layout: Layout): string[] {
  return [...layout.sets].flatMap(([family, set]) => {
    const lines = table?.sets.get(set)?.lines;
    return lines === undefined || kindLines(family).every((line) => lines.includes(line)) ? [] : [set];
  });
}

function fits(set: SetText, family: AddressFamily, layout: Layout): boolean {
  const wanted = [...kindLines(family), ...settingLines(layout)];
  return wanted.every((line) => set.lines.includes(line)) && set.lines.includes(COUNTER) === layout.counters;
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((line, index) => line === b[index]);
}
