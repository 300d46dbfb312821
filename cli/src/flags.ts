import * as Args from "@oclif/core/args";
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

/** How a command finds the running daemon. */
export const daemonFlags = {
  config: configFlag("/etc/wkfs/wkfs.yaml"),
  socket: Flags.string({
    helpValue: "PATH",
    description: "Control socket of the daemon (default: control.path of the configuration).",
    exclusive: ["config"],
  }),
};

export const stateDirFlag = Flags.string({
  helpValue: "DIR",
  description: "Folder of the daemon's state (default: what the configuration says; /var/lib/wkfs where it is broken).",
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

/** Whom something is opened for or closed by hand, and which ports. */
export const byHand = {
  args: { address: Args.string({ required: true, description: "Address of the client." }) },
  flags: {
    ...daemonFlags,
    tcp: portsFlag("TCP port; may be given several times."),
    udp: portsFlag("UDP port; may be given several times."),
  },
};

/** A moment of the past, in milliseconds since the epoch: a date, or how long ago. */
export const sinceFlag = Flags.custom<number>({
  helpValue: "TIME",
  parse: async (text) => {
    const ago = parseDuration(text);
    const time = ago === undefined ? Date.parse(text) : Date.now() - ago * 1000;
    if (!Number.isNaN(time)) return time;
    throw new Errors.CLIError(`Expected a date, or a time such as 90s, 10m, 2h or 1d, but received: ${text}`);
  },
});

/** The ports of two flags without repetitions, or undefined when neither was given. */
export function portsOf(flags: { readonly tcp?: number[] | undefined; readonly udp?: number[] | undefined }) {
  if (flags.tcp === undefined && flags.udp === undefined) return undefined;
  return { tcp: [...new Set(flags.tcp)], udp: [...new Set(flags.udp)] };
}
