/** What a check of `wkfs doctor` says. */
export interface Found {
  /** `note`: nothing is wrong, or nobody can tell. `warning`: it works and should not stay so. `error`: it does not work, or does not guard. */
  readonly level: Level;
  readonly what: string;
  /** What to type, or to write where, so that it is mended. */
  readonly mend?: string;
}

const LEVELS = ["ok", "note", "warning", "error"] as const;
export type Level = (typeof LEVELS)[number];

/** One line of the report. */
export interface Finding extends Found {
  /** The name of the check. */
  readonly check: string;
}

const at =
  (level: Level) =>
  (what: string, mend?: string): Found => ({ level, what, ...(mend !== undefined && { mend }) });

export const ok = at("ok");
export const note = at("note");
export const warning = at("warning");
export const error = at("error");

/** Whether all is well: what `wkfs doctor` says by its exit code. */
export function isWell(findings: readonly Found[]): boolean {
  return findings.every(({ level }) => level === "ok" || level === "note");
}
