import { printable } from "../printable.ts";
import type { Finding, Level } from "./finding.ts";

const SIGN: Readonly<Record<Level, string>> = { ok: "ok", note: "note", warning: "WARNING", error: "ERROR" };
/** Of a terminal: green, blue, yellow, red. ECMA-48. */
const COLOUR: Readonly<Record<Level, number>> = { ok: 32, note: 34, warning: 33, error: 31 };

/**
 * On a terminal findings stand under the names of their checks; in a pipe each is a line of its own, whose columns, check,
 * level, what and how to mend it, are parted by tabs. What others said steers no terminal.
 */
export function reportLines(findings: readonly Finding[], terminal: boolean, colour: boolean): string[] {
  if (!terminal)
    return findings.map(({ check, level, what, mend }) =>
      [check, level, what, ...(mend === undefined ? [] : [mend])]
        .map((cell) => printable(cell.replaceAll(/[\t\n]+/g, " ")))
        .join("\t"),
    );
  const lines: string[] = [];
  for (const [check, found] of Map.groupBy(findings, (finding) => finding.check)) {
    lines.push(check);
    for (const { level, what, mend } of found) {
      const sign = SIGN[level].padEnd(8);
      lines.push(`  ${colour ? `\u001B[${COLOUR[level]}m${sign}\u001B[0m` : sign}${printable(what)}`);
      if (mend !== undefined) lines.push(`          → ${printable(mend)}`);
    }
  }
  return [...lines, "", summary(findings)];
}

function summary(findings: readonly Finding[]): string {
  const count = (level: Level) => findings.filter((finding) => finding.level === level).length;
  const [errors, warnings] = [count("error"), count("warning")];
  if (errors + warnings === 0) return "All is well.";
  return `${errors} ${errors === 1 ? "error" : "errors"}, ${warnings} ${warnings === 1 ? "warning" : "warnings"}.`;
}
