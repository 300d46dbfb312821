import type { Spread } from "./measure.ts";
import { type Row, type Target, type Unit, isMet, ratioOf } from "./row.ts";

const HEAD = ["row", "wkfs: median (min to max)", "beside it", "median (min to max)", "ratio", "target", "met"];

/** The rows as one table, in the notation of Markdown, with columns of one width. */
export function tableOf(rows: readonly Row[]): string {
  const cells = [HEAD, ...rows.map(cellsOf)];
  const widths = HEAD.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  const write = (line: readonly string[]) =>
    `| ${line.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  const [head, ...body] = cells.map(write);
  return [head, rule, ...body].join("\n");
}

/** The rows with their verdicts, for programs. */
export function jsonOf(machine: object, rows: readonly Row[]): string {
  const judged = rows.map((row) => ({
    ...row,
    ratio: ratioOf(row),
    targets: row.targets?.map((target) => ({ ...target, met: isMet(row, target) })),
  }));
  return JSON.stringify({ machine, rows: judged }, undefined, 2);
}

function cellsOf(row: Row): string[] {
  const { what, unit, value, reference, note, failure, targets = [] } = row;
  const ratio = ratioOf(row);
  const shown = value === undefined ? (failure ?? note ?? "") : spreadText(value, unit);
  return [
    value !== undefined && note !== undefined ? `${what}; ${note}` : what,
    failure !== undefined ? `FAILED: ${shown}` : shown,
    reference?.what ?? "",
    reference === undefined ? "" : spreadText(reference.value, unit),
    ratio === undefined ? "" : number(ratio),
    targets.map((target) => targetText(target, unit)).join("; "),
    targets.map((target) => verdict(isMet(row, target))).join("; "),
  ].map((cell) => cell.replaceAll("|", "/").replaceAll("\n", " "));
}

function verdict(met: boolean | undefined): string {
  return met === undefined ? "?" : met ? "yes" : "NO";
}

function targetText({ of, bound, limit }: Target, unit: Unit): string {
  const sign = bound === "at least" ? "≥" : "≤";
  return of === "ratio" ? `${sign} ${number(limit)} ×` : `${sign} ${number(limit)} ${unit}`;
}

function spreadText({ median, min, max }: Spread, unit: Unit): string {
  return `${number(median)} ${unit} (${number(min)} to ${number(max)})`;
}

/** Three digits that mean something. */
function number(figure: number): string {
  const size = Math.abs(figure);
  if (size >= 100 || Number.isInteger(figure)) return Math.round(figure).toLocaleString("en");
  if (size >= 10) return figure.toFixed(1);
  if (size >= 1) return figure.toFixed(2);
  return size < 0.001 ? figure.toExponential(1) : figure.toFixed(3);
}
