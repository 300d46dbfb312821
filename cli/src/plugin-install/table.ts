import type { PluginRow } from "./rows.ts";

const HEADER = ["NAME", "KIND", "VERSION", "USED", "FROM"];

/** For people: columns under a header. */
export function table(rows: readonly PluginRow[]): string {
  const lines = [HEADER, ...rows.map(cells)];
  const widths = HEADER.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** For programs: the same, a plugin a line, columns parted by a tab. */
export function plainLines(rows: readonly PluginRow[]): string {
  return rows.map((row) => cells(row).join("\t")).join("\n");
}

function cells({ name, kind, version, used, from, origin }: PluginRow): string[] {
  const usage = used === undefined ? "-" : used ? "yes" : "no";
  return [name, kind ?? "-", version ?? "-", usage, origin === undefined ? from : `${from} ${origin}`];
}
