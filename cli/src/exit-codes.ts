/** The exit codes of all commands. What scripts and service files are written against: none changes. */
export const EXIT = {
  ok: 0,
  unexpected: 1,
  invalid: 2,
  unreachable: 3,
  refused: 4,
  partly: 5,
  unconfirmed: 6,
} as const;

export type ExitName = keyof typeof EXIT;

const MEANING: Readonly<Record<ExitName, string>> = {
  ok: "done; everything that was asked for",
  unexpected: "something failed; the text on stderr says what",
  invalid: "wrong use, configuration, key file or plugin: trying again changes nothing",
  unreachable: "the server, or its daemon, could not be reached or did not answer",
  refused: "the server refused, nothing was opened: wrong keys, wrong clock, or no such port",
  partly: "only a part of the ports was opened",
  unconfirmed:
    "nothing is guarded, since nobody confirmed the guard or somebody called it off: starting again changes nothing",
};

/** The paragraph about exit codes in a command's help. */
export function exitCodesHelp(...names: readonly ExitName[]): string {
  return ["Exit codes:", ...names.map((name) => `  ${EXIT[name]}  ${MEANING[name]}`)].join("\n");
}
