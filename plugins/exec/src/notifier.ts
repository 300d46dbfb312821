import { spawn } from "node:child_process";
import {
  type Notification,
  type Notifier,
  type PluginContext,
  WkfsError,
  eventLines,
  messageOf,
  singleLine,
} from "@wkfs/core";
import type { ExecConfig } from "./config.ts";

/** Exit status by which a program says that it will never take this (EX_DATAERR of sysexits.h). */
const REJECTED = 65;
/** Most bytes of what it writes to standard error. */
const ERROR_LIMIT = 2048;

/** How a program ended: with a status, by a signal, or never begun. */
interface Ending {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly error: string;
}

/** One process a notification. It gets the events on its standard input and nothing of the daemon's environment. */
export class ExecNotifier implements Notifier {
  readonly #config: ExecConfig;
  readonly #context: PluginContext;
  readonly #closed = new AbortController();

  constructor(config: ExecConfig, context: PluginContext) {
    this.#config = config;
    this.#context = context;
  }

  async notify(notification: Notification, signal: AbortSignal): Promise<void> {
    const { command, input, timeout } = this.#config;
    const [program] = command as [string];
    const tooLong = AbortSignal.timeout(timeout * 1000);
    const end = AbortSignal.any([signal, this.#closed.signal, this.#context.signal, tooLong]);
    if (end.aborted) throw failed(`${program}: broken off`, "It is tried again.");
    const { status, signal: killedBy, error } = await run(command, inputOf(notification, input), end);
    if (status === 0) return;
    const said = error === "" ? "" : `: ${singleLine(error.trim())}`;
    if (status === REJECTED) {
      throw new WkfsError("NOTIFY_REJECTED", `${program} ended with status ${REJECTED}${said}`, {
        hint: `Status ${REJECTED} says that it will never take this; any other has it tried again.`,
      });
    }
    if (end.aborted) {
      throw end.reason === tooLong.reason
        ? failed(`${program}: no end after ${timeout} s`, "Raise `timeout` of exec where that is to be expected.")
        : failed(`${program}: broken off`, "It is tried again.");
    }
    if (status !== null) throw failed(`${program} ended with status ${status}${said}`, "Run it by hand to see why.");
    throw killedBy === null
      ? failed(`${program} cannot be started${said}`, "Check `command` of exec, and who may run it.")
      : failed(`${program} was ended by ${killedBy}${said}`, "See the kernel's log for why.");
  }

  async close(): Promise<void> {
    this.#closed.abort();
  }
}

function inputOf(notification: Notification, input: ExecConfig["input"]): string {
  if (input === "json") return `${JSON.stringify(notification)}\n`;
  return notification.events
    .flatMap(eventLines)
    .map((line) => `${line}\n`)
    .join("");
}

/** Runs a program in a process group of its own, which is killed as a whole when `end` aborts. */
function run(argv: readonly string[], input: string, end: AbortSignal): Promise<Ending> {
  return new Promise((resolve) => {
    const child = spawn(argv[0]!, argv.slice(1), {
      stdio: ["pipe", "ignore", "pipe"],
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" },
      cwd: "/",
      detached: true,
    });
    let error = "";
    const kill = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has just ended by itself.
      }
    };
    const settle = (status: number | null, signal: NodeJS.Signals | null) => {
      end.removeEventListener("abort", kill);
      // What it has started in turn may hold the other ends for ever.
      child.stdin.destroy();
      child.stderr.destroy();
      resolve({ status, signal, error });
    };
    end.addEventListener("abort", kill, { once: true });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      if (error.length < ERROR_LIMIT) error += text;
    });
    child.on("error", (reason) => {
      error = messageOf(reason);
      settle(null, null);
    });
    // After a turn of the event loop, in which what it wrote last is read.
    child.on("exit", (status, signal) => setImmediate(() => setImmediate(() => settle(status, signal))));
    // A program need not read what it is given.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

function failed(text: string, hint: string): WkfsError {
  return new WkfsError("NOTIFY_FAILED", text, { hint });
}
