import type { AddressFamily, FirewallChange } from "@wkfs/core";
import { type Layout, setLines } from "./layout.ts";
import { changeCommands } from "./lease-text.ts";
import type { SetText, Table } from "./table-text.ts";

/** What of ours is not as it shall be, and the transactions that make it so and unmake it. */

/**
 * What is wrong, in words; empty when nothing is. `rules` are those of our chain as this nft prints them, which is not
 * always how they were written.
 */
export function missingFrom(table: Table | undefined, layout: Layout, rules: readonly string[]): string[] {
  const name = `${layout.table.family} ${layout.table.name}`;
  if (table === undefined) return [`the table ${name} is gone`];
  const missing: string[] = [];
  if (dormant(table)) missing.push(`the table ${name} is switched off (dormant)`);
  for (const [family, set] of layout.sets) {
    const found = table.sets.get(set);
    if (found === undefined) missing.push(`the set ${set} is gone`);
    else if (!fits(found, family, layout)) missing.push(`the set ${set} is of another kind or size`);
  }
  const chain = table.chains.get(layout.chain);
  if (chain === undefined) missing.push(`the chain ${layout.chain} is gone`);
  else if (!same(printed(table, layout), rules))
    missing.push(`the chain ${layout.chain} holds other rules than wkfs wrote`);
  return missing;
}

/** Our chain as it stands, its hook first. */
export function printed(table: Table | undefined, layout: Layout): string[] {
  const chain = table?.chains.get(layout.chain);
  return chain === undefined
    ? []
    : [...(chain.hook === undefined ? [] : [chain.hook]), ...chain.rules.map(({ text }) => text)];
}

/** Our chain as we write it: how it is printed by the versions of nft known today. */
export function written(layout: Layout): string[] {
  return [...(layout.hook === undefined ? [] : [layout.hook]), ...layout.rules];
}

/** The sets that must be made anew, because their kind or size cannot be changed. */
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
  const { family, name } = layout.table;
  const at = `${family} ${name}`;
  const unfit = new Map(unfitSets(table, layout));
  const chain = `${at} ${layout.chain}`;
  return [
    `add table ${at}`,
    `add chain ${chain}`,
    `flush chain ${chain}`,
    ...[...unfit.values()].map((set) => `delete set ${at} ${set}`),
    ...[...layout.sets]
      .filter(([key, set]) => unfit.has(key) || !table?.sets.has(set))
      .map(([key, set]) => `add set ${at} ${set} { ${setLines(key, layout.size).join("; ")}; }`),
    // A chain cannot be moved to another hook or priority.
    ...(layout.hook === undefined ? [] : [`delete chain ${chain}`, `add chain ${chain} { ${layout.hook} }`]),
    ...layout.rules.map((rule) => `add rule ${chain} ${rule}`),
    changeCommands(layout, { open: leases, close: [], before: [] }, now),
  ].join("\n");
}

/** The transaction that takes everything of ours out; undefined when there is nothing. */
export function detachCommands(table: Table | undefined, layout: Layout): string | undefined {
  if (table === undefined) return undefined;
  const { family, name } = layout.table;
  const at = `${family} ${name}`;
  const chains = table.chains.has(layout.chain) ? [layout.chain] : [];
  const sets = [...layout.sets.values()].filter((set) => table.sets.has(set));
  // A table in which somebody else has something is theirs as well.
  const empty = layout.hook !== undefined && table.parts === chains.length + sets.length;
  const commands = [
    ...chains.flatMap((chain) => [`flush chain ${at} ${chain}`, `delete chain ${at} ${chain}`]),
    ...sets.map((set) => `delete set ${at} ${set}`),
    ...(empty ? [`delete table ${at}`] : []),
  ];
  return commands.length === 0 ? undefined : `${commands.join("\n")}\n`;
}

/** Whether somebody switched the table off. */
export function dormant(table: Table | undefined): boolean {
  return table?.about.some((line) => /^flags .*dormant/.test(line)) ?? false;
}

function fits(set: SetText, family: AddressFamily, layout: Layout): boolean {
  return setLines(family, layout.size).every((line) => set.lines.includes(line));
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((line, index) => line === b[index]);
}
