import * as Errors from "@oclif/core/errors";
import { type ErrorCode, isWkfsError, messageOf } from "@wkfs/core";
import { EXIT } from "./exit-codes.ts";
import { printable } from "./printable.ts";

/** An error as a command tells it: as text on stderr, as JSON on stdout, and as an exit code. */
export interface Failure {
  /** An `ErrorCode` of core, `USAGE_INVALID`, or `UNEXPECTED`. */
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
  readonly exit: number;
}

const EXIT_OF: Partial<Record<ErrorCode, number>> = {
  CONFIG_INVALID: EXIT.invalid,
  SECRET_INVALID: EXIT.invalid,
  PLUGIN_INVALID: EXIT.invalid,
  ADDRESS_INVALID: EXIT.invalid,
  SERVER_UNREACHABLE: EXIT.unreachable,
  DAEMON_UNREACHABLE: EXIT.unreachable,
  KNOCK_REFUSED: EXIT.refused,
  NOT_CONFIRMED: EXIT.unconfirmed,
  CLOSE_UNSUPPORTED: EXIT.refused,
};

/** `command` is the command as one types it, for the hint of an error in its use. */
export function failureOf(error: unknown, command: string): Failure {
  if (isWkfsError(error)) {
    return { code: error.code, message: error.message, hint: error.hint, exit: EXIT_OF[error.code] ?? EXIT.unexpected };
  }
  if (error instanceof Errors.CLIError) {
    const message = error.message.replace(/\s*See more help with --help\s*$/, "");
    return { code: "USAGE_INVALID", message, hint: `\`${command} --help\` shows the use.`, exit: EXIT.invalid };
  }
  const parts = error instanceof AggregateError ? error.errors.map(messageOf).join("; ") : "";
  const message = messageOf(error) || parts || "something failed without a word";
  const hint = "This was not foreseen. DEBUG=1 before the command shows where it comes from.";
  return { code: "UNEXPECTED", message, hint, exit: EXIT.unexpected };
}

/** The lines for people. Of control characters in a message, line breaks are kept. */
export function failureText({ message, hint }: Pick<Failure, "message" | "hint">): string {
  return printable(hint === undefined ? `Error: ${message}` : `Error: ${message}\nHint: ${hint}`);
}

export function failureJson({ code, message, hint }: Pick<Failure, "code" | "message" | "hint">): object {
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}
