import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { type Logger, WkfsError } from "@wkfs/core";
import { missingProgram, programEnvironment, refusal } from "./program.ts";

/** ipset's prompt: it writes one when it starts and one after each command, done or refused. */
const PROMPT = "ipset> ";
/** Commands that are under way at once. Keeps both pipes shorter than the kernel's 64 KiB. */
const WINDOW = 256;
/** Milliseconds in which the next prompt must come. */
const TIME_LIMIT = 5000;

interface Process {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<void>;
  output: string;
  errors: string;
  prompts: number;
  alive: boolean;
  changed: () => void;
}

/**
 * One long-lived `ipset -exist -`: a command costs a line on a pipe rather than a process. The prompt acknowledges it,
 * whose writing follows that of an error, so when the prompts of all commands are there all errors are too.
 *
 * ipset(8) knows this mode as reading commands from standard input. Three things about it had to be found out:
 * its output is buffered unless stdbuf(1) prevents it; an error does not end it; but `list` spoils it for the
 * commands that follow (ipset 7.17), so this session only writes.
 */
export class IpsetSession {
  readonly #prefix: readonly string[];
  readonly #log: Logger;
  #process: Process | undefined;

  constructor(prefix: readonly string[], log: Logger) {
    this.#prefix = prefix;
    this.#log = log;
  }

  /** Runs commands in order. Rejects when one was refused, after all were tried, or when the process ended. */
  async run(commands: readonly string[]): Promise<void> {
    this.#process ??= await this.#start();
    const process = this.#process;
    try {
      process.errors = "";
      const first = process.prompts;
      for (let sent = 0; sent < commands.length; sent += WINDOW) {
        const window = commands.slice(sent, sent + WINDOW);
        process.child.stdin.write(`${window.join("\n")}\n`);
        await this.#prompts(process, first + sent + window.length);
      }
      // The errors are in their pipe already; after a turn of the event loop they have been read from it.
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    } catch (error) {
      // What it did not acknowledge may still come: with a new process, nothing is mistaken for an answer to the next.
      this.#process = undefined;
      process.child.kill("SIGKILL");
      throw error;
    }
    if (process.errors !== "") throw refusal(["ipset"], process.errors);
  }

  async close(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (process === undefined) return;
    process.child.stdin.end();
    const impatient = setTimeout(() => process.child.kill("SIGKILL"), TIME_LIMIT);
    await process.ended;
    clearTimeout(impatient);
  }

  async #start(): Promise<Process> {
    const argv = [...this.#prefix, "stdbuf", "-o0", "ipset", "-exist", "-"];
    const child = spawn(argv[0]!, argv.slice(1), { stdio: "pipe", env: programEnvironment() });
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const process: Process = { child, ended, output: "", errors: "", prompts: 0, alive: true, changed: () => {} };
    let missing: WkfsError | undefined;
    child.stdout.on("data", (chunk: Buffer) => {
      const parts = (process.output + chunk.toString("latin1")).split(PROMPT);
      process.output = parts.pop()!;
      process.prompts += parts.length;
      // Some refusals are written to standard output.
      process.errors += parts.join("").slice(0, 4096);
      process.changed();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      if (process.errors.length < 4096) process.errors += chunk.toString("latin1");
    });
    child.stdin.on("error", () => {});
    const gone = (): void => {
      process.alive = false;
      if (this.#process === process) {
        this.#process = undefined;
        this.#log.warn({ error: process.errors.trim() }, "the ipset process ended; the next change starts another");
      }
      process.changed();
      end();
    };
    child.on("error", (error: NodeJS.ErrnoException) => {
      missing = error.code === "ENOENT" ? missingProgram(argv[0]!) : refusal(argv, error.message);
      gone();
    });
    child.on("close", gone);
    await this.#prompts(process, 1).catch((error: unknown) => {
      child.kill("SIGKILL");
      throw missing ?? error;
    });
    // Its own, of the start, is not counted: what follows are acknowledgements.
    return process;
  }

  /** Waits until so many prompts have come since the start. */
  async #prompts(process: Process, count: number): Promise<void> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      process.changed();
    }, TIME_LIMIT);
    try {
      while (process.prompts < count) {
        if (!process.alive) throw refusal(["ipset"], `the process ended: ${process.errors}`);
        if (late) throw refusal(["ipset"], `no answer within ${TIME_LIMIT / 1000} s`);
        await new Promise<void>((resolve) => {
          process.changed = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }
}
