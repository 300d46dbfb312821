import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { type Logger, WkfsError, messageOf } from "@wkfs/core";
import { Unanswered } from "./nftables.ts";
import { programEnvironment, refusal } from "./program.ts";

/** Where the kept process finds the commands: a file that it was given when it started. */
const COMMANDS = "/proc/self/fd/3";
const ARGV = ["nft", "-i"];
/** Milliseconds in which a change must be answered: core gives up after as long. */
const TIME_LIMIT = 10_000;
/**
 * Changes after which another process takes over. nft remembers every line for its history, and walks through
 * all of them at each further one: 0.7 ms a change at first, 0.9 after 10,000, 1.8 after 50,000.
 */
const CHANGES = 1000;

interface Process {
  readonly child: ChildProcess;
  readonly stdin: Writable;
  /** The file that the process reads the commands from. It has no name. */
  readonly file: number;
  readonly ended: Promise<void>;
  said: string;
  changes: number;
  alive: boolean;
  /** Whether its end would surprise. */
  wanted: boolean;
  heard: () => void;
}

/** This nft cannot be kept: built without its command line, or no file can be made for it. */
export class NoSession extends WkfsError {}

/**
 * One long-lived `nft -i`: a change costs no process. What had to be found out about it (nft 1.0.6):
 *
 * - It reads its input byte by byte, 0.1 ms a lease. So the commands go into a file without a name that the
 *   process inherits, and the line that it reads is always `include`; one such line is one transaction.
 * - Nothing it prints says that a change is done, and a command that prints something on the same line runs before
 *   the kernel is asked. So the line after it is one that nft must refuse: the refusal repeats that line, at once, in the
 *   pipe that errors come from, so everything that was said before it belongs to the change.
 * - An error ends neither the process nor what follows.
 */
export class NftSession {
  readonly #prefix: readonly string[];
  readonly #log: Logger;
  #current: Promise<Process> | undefined;
  readonly #ending = new Set<Promise<void>>();
  #marks = 0;

  constructor(prefix: readonly string[], log: Logger) {
    this.#prefix = prefix;
    this.#log = log;
  }

  /** One transaction. Rejects with `Unanswered` when the process ended over it, with `NoSession` when none can be kept. */
  async run(commands: string): Promise<void> {
    const process = await (this.#current ??= this.#start());
    fill(process.file, commands);
    const said = await this.#ask(process, `include "${COMMANDS}"\n`);
    process.changes += 1;
    if (process.changes >= CHANGES) this.#retire(process);
    if (/error/i.test(said)) throw refusal(ARGV, said);
    if (said !== "") this.#log.warn({ said }, "nft said something");
  }

  async close(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    const process = await current?.catch(() => undefined);
    if (process !== undefined) dismiss(process);
    await Promise.all(this.#ending);
  }

  /** Starts the next process before it is needed, and lets the last one end. */
  #retire(process: Process): void {
    this.#current = this.#start();
    // Its failure is that of the change that needs it.
    this.#current.catch(() => {});
    dismiss(process);
  }

  async #start(): Promise<Process> {
    const file = nameless();
    const argv = [...this.#prefix, ...ARGV];
    const child = spawn(argv[0]!, argv.slice(1), {
      stdio: ["pipe", "ignore", "pipe", file],
      env: programEnvironment(),
    });
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const process: Process = {
      child,
      stdin: child.stdin!,
      file,
      ended,
      said: "",
      changes: 0,
      alive: true,
      wanted: false,
      heard: () => {},
    };
    this.#ending.add(ended);
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      process.said += text;
      process.heard();
    });
    process.stdin.on("error", () => {});
    const gone = (error?: Error): void => {
      if (!process.alive) return;
      process.alive = false;
      process.said += error?.message ?? "";
      closeSync(file);
      this.#ending.delete(ended);
      if (process.wanted) {
        this.#current = undefined;
        this.#log.warn({ said: process.said.trim() }, "the nft process ended; the next change starts another");
      }
      process.heard();
      end();
    };
    child.on("error", gone);
    child.on("close", () => gone());
    try {
      await this.#ask(process, "");
    } catch (error) {
      this.#current = undefined;
      throw new NoSession("FIREWALL_FAILED", `nft cannot be kept running: ${messageOf(error)}`, { cause: error });
    }
    process.wanted = true;
    return process;
  }

  /** Sends lines, waits until they are done, and gives what nft said about them. */
  async #ask(process: Process, lines: string): Promise<string> {
    this.#marks += 1;
    const mark = `done-${this.#marks}`;
    // The refusal of the mark: what is wrong, the line, and a line of carets below it.
    const answer = new RegExp(`^Error[^\\n]*\\n${mark}\\n.*\\n`, "m");
    process.said = "";
    process.stdin.write(`${lines}${mark}\n`);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      process.heard();
    }, TIME_LIMIT);
    try {
      for (;;) {
        const found = answer.exec(process.said);
        if (found !== null) return process.said.slice(0, found.index);
        if (!process.alive || late) break;
        await new Promise<void>((resolve) => {
          process.heard = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
    // What it did not answer may still come: when the process is gone, nothing of it does.
    const why = late ? `no answer within ${TIME_LIMIT / 1000} s` : `the process ended: ${process.said.trim()}`;
    process.child.kill("SIGKILL");
    await process.ended;
    throw new Unanswered("FIREWALL_FAILED", `\`${ARGV.join(" ")}\`: ${why}`, {
      hint: "The next change starts another process; when this happens often, look into the kernel's log for why it is killed.",
    });
  }
}

function dismiss(process: Process): void {
  process.wanted = false;
  process.stdin.end();
}

/** Half of a change that was written would be a change too. */
function fill(file: number, commands: string): void {
  let why = "no room";
  try {
    ftruncateSync(file, 0);
    if (writeSync(file, commands, 0) === Buffer.byteLength(commands)) return;
  } catch (error) {
    why = messageOf(error);
  }
  throw new WkfsError("FIREWALL_FAILED", `the commands for nft cannot be written: ${why}`, {
    hint: "Make room in /dev/shm, or in the folder for temporary files.",
  });
}

/** A file that only those can open who hold it already, in memory where the host has a place for that. */
function nameless(): number {
  let failure: unknown;
  for (const folder of ["/dev/shm", tmpdir()]) {
    const path = join(folder, `wkfs-${crypto.randomUUID()}`);
    try {
      const file = openSync(path, "wx+", 0o600);
      rmSync(path);
      return file;
    } catch (error) {
      failure = error;
    }
  }
  throw new NoSession("FIREWALL_FAILED", `no file for nft can be made: ${messageOf(failure)}`, { cause: failure });
}
