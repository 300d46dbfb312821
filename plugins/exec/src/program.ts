import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import type { Readable, Writable } from "node:stream";
import { WkfsError, messageOf } from "@wkfs/core";
import { z } from "zod";

/** Most bytes of what a program writes to standard error. */
const ERROR_LIMIT = 2048;
/** Milliseconds in which what a program wrote last must be read, when something that it has started holds the other end. */
const LAST_WORDS = 500;
/** All that a program of the administrator's gets of an environment: the daemon's own may hold anything. */
const ENVIRONMENT = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" } as const;

const argument = z
  .string()
  .max(4096)
  .regex(/^[^\0]*$/, "expected text without NUL");

/** A program by its full path: which one is run does not depend on a PATH. */
export const programPath = argument.regex(/^\//, "the program needs its full path, such as /usr/local/bin/tell");

/** A program and its arguments, as they stand in a configuration. No shell looks at them. */
export const commandSchema = z
  .tuple([programPath])
  .rest(argument)
  .refine(({ length }) => length <= 64, "more than 64 words");

/** Throws `CONFIG_INVALID` for a program that this user cannot run. */
export async function refuseUnrunnable(plugin: string, [program]: readonly [string, ...string[]]): Promise<void> {
  await access(program, constants.X_OK).catch((error: unknown) => {
    throw new WkfsError("CONFIG_INVALID", `${plugin}: ${program} cannot be run: ${messageOf(error)}`, {
      hint: "Give the full path of a program, and make it executable.",
    });
  });
}

export interface ProgramOptions {
  /** What comes on its standard input; it need not read it. */
  readonly input: string;
  /** Kills it, with all that it has started in its process group. */
  readonly end: AbortSignal;
  /** Most bytes that it may write to standard output: with one more it is killed. By itself nobody reads what it writes. */
  readonly outputLimit?: number;
}

/** How a program ended. */
export interface Ending {
  /** Whether there was such a program; if not, `error` says why. */
  readonly started: boolean;
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  /** Whether it wrote more than it may. */
  readonly tooMuch: boolean;
  /** The beginning of what it wrote to standard error. */
  readonly error: string;
}

/**
 * Runs a program in a process group of its own, with nothing of this process's environment, from the folder `/`. Never
 * rejects. What it has started in turn ends with it only when it is killed.
 */
export function runProgram(argv: readonly string[], options: ProgramOptions): Promise<Ending> {
  const { promise, resolve } = Promise.withResolvers<Ending>();
  const { end, outputLimit = 0 } = options;
  let error = "";
  const output: Buffer[] = [];
  let size = 0;
  const settle = (how: Partial<Ending>) => {
    const text = Buffer.concat(output).toString();
    resolve({ started: true, status: null, signal: null, output: text, tooMuch: size > outputLimit, error, ...how });
  };
  if (end.aborted) settle({ started: false, error: "broken off" });
  const child = end.aborted
    ? undefined
    : begin(argv, outputLimit > 0, (said) => settle({ started: false, error: said }));
  if (child === undefined) return promise;

  const kill = () => killGroup(child);
  end.addEventListener("abort", kill, { once: true });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    if (error.length < ERROR_LIMIT) error += text;
  });
  child.stdout?.on("data", (piece: Buffer) => {
    size += piece.length;
    if (size <= outputLimit) output.push(piece);
    else kill();
  });
  let impatient: NodeJS.Timeout | undefined;
  child.on("exit", () => {
    end.removeEventListener("abort", kill);
    impatient = setTimeout(() => destroy(child), LAST_WORDS);
  });
  child.on("close", (status, signal) => {
    clearTimeout(impatient);
    end.removeEventListener("abort", kill);
    settle({ status, signal });
  });
  // A program need not read what it is given.
  child.stdin?.on("error", () => {}).end(options.input);
  return promise;
}

/** Starts it; `failed` hears why it could not be started. */
function begin(argv: readonly string[], reads: boolean, failed: (why: string) => void): ChildProcess | undefined {
  try {
    const child: ChildProcess = spawn(argv[0]!, argv.slice(1), {
      stdio: ["pipe", reads ? "pipe" : "ignore", "pipe"],
      env: ENVIRONMENT,
      cwd: "/",
      detached: true,
    });
    return child.on("error", (reason) => failed(messageOf(reason)));
  } catch (reason) {
    failed(messageOf(reason));
    return undefined;
  }
}

function killGroup(child: ChildProcess): void {
  // Once it is gone its number may be another's.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has just ended by itself.
  }
}

function destroy({ stdin, stdout, stderr }: ChildProcess): void {
  for (const pipe of [stdin, stdout, stderr] as (Readable | Writable | null)[]) pipe?.destroy();
}
