import { type Notification, type Notifier, type PluginContext, WkfsError, eventLines, singleLine } from "@wkfs/core";
import type { ExecConfig } from "./config.ts";
import { runProgram } from "./program.ts";

/** Exit status by which a program says that it will never take this (EX_DATAERR of sysexits.h). */
const REJECTED = 65;
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
    const [program] = command;
    const tooLong = AbortSignal.timeout(timeout * 1000);
    const end = AbortSignal.any([signal, this.#closed.signal, this.#context.signal, tooLong]);
    const ending = await runProgram(command, { input: inputOf(notification, input), end });
    const { started, status, signal: killedBy, error } = ending;
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
    if (!started) {
      throw failed(`${program} cannot be started${said}`, "Check `command` of exec, and who may run it.");
    }
    throw status === null
      ? failed(`${program} was ended by ${killedBy}${said}`, "See the kernel's log for why.")
      : failed(`${program} ended with status ${status}${said}`, "Run it by hand to see why.");
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

function failed(text: string, hint: string): WkfsError {
  return new WkfsError("NOTIFY_FAILED", text, { hint });
}
