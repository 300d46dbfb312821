import * as Errors from "@oclif/core/errors";
import * as Flags from "@oclif/core/flags";
import { LONGEST, parseDuration } from "./duration.ts";

export const configFlag = (preset: string) =>
  Flags.string({
    char: "c",
    env: "WKFS_CONFIG",
    helpValue: "FILE",
    description: `Configuration file (default: ${preset}).`,
  });

export const logLevelFlag = Flags.option({
  options: ["debug", "info", "warn", "error"] as const,
  default: "info",
  description: "What is logged on stderr, as lines of JSON.",
});

/** Repeatable; not greedy, so that what follows a value is not taken for another. */
export const portsFlag = (description: string) =>
  Flags.integer({
    multiple: true,
    multipleNonGreedy: true,
    delimiter: ",",
    min: 1,
    max: 65_535,
    helpValue: "N",
    description,
  });

export const durationFlag = Flags.custom<number>({
  helpValue: "TIME",
  parse: async (text) => {
    const seconds = parseDuration(text);
    if (seconds !== undefined) return seconds;
    throw new Errors.CLIError(
      `Expected seconds, or a time such as 90s, 10m or 2h, at most ${LONGEST} seconds, but received: ${text}`,
    );
  },
});

/** The ports of two flags without repetitions, or undefined when neither was given. */
export function portsOf(flags: { readonly tcp?: number[] | undefined; readonly udp?: number[] | undefined }) {
  if (flags.tcp === undefined && flags.udp === undefined) return undefined;
  return { tcp: [...new Set(flags.tcp)], udp: [...new Set(flags.udp)] };
}
