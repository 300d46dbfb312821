import { rows } from "../table.ts";
import type { PluginRow } from "./rows.ts";

const HEADER = ["NAME", "KIND", "VERSION", "USED", "FROM"];

/** A plugin a line: on a terminal columns under a header, in a pipe columns parted by tabs. */
export function pluginTable(plugins: readonly PluginRow[], terminal: boolean): string[] {
  return rows(HEADER, plugins.map(cells), terminal);
}

function cells({ name, kind, version, used, from, origin }: PluginRow): string[] {
  const usage = used === undefined ? "-" : used ? "yes" : "no";
  return [name, kind ?? "-", version ?? "-", usage, origin === undefined ? from : `${from} ${origin}`];
}
