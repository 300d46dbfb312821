import { styleText } from "node:util";
import { setTimeout as delay } from "node:timers/promises";
import { WkfsError, messageOf } from "@wkfs/core";

/**
 * Tells what happens, step by step, and that it does: a step whose observation is not as told ends the story. Colour
 * and the countdown are for a terminal only.
 */
export class Story {
  readonly #signal: AbortSignal;
  readonly #out: NodeJS.WriteStream;
  #scene = "";
  #step = 0;

  constructor(signal: AbortSignal, out: NodeJS.WriteStream = process.stdout) {
    this.#signal = signal;
    this.#out = out;
  }

  line(text = ""): void {
    this.#out.write(`${text}\n`);
  }

  scene(name: string, text: string): void {
    this.#scene = name;
    this.#step = 0;
    this.line(`\n${this.#style("bold", name)}  ${text}`);
  }

  async step(title: string, body: () => Promise<void>): Promise<void> {
    this.#signal.throwIfAborted();
    this.#step += 1;
    this.line(`\n${String(this.#step).padStart(2)}. ${this.#style("bold", title)}`);
    try {
      await body();
    } catch (error) {
      this.#signal.throwIfAborted();
      throw new WkfsError("FIREWALL_FAILED", `${this.#scene}, step ${this.#step} (${title}): ${messageOf(error)}`, {
        hint: "This is not what wkfs promises: please report it, with the output above and the versions in its first lines.",
        cause: error,
      });
    }
  }

  /** What was seen of the port. */
  saw(state: "open" | "shut", text: string): void {
    this.line(`    ${this.#style(state === "open" ? "green" : "red", `[${state}]`)} ${text}`);
  }

  /** A command and what it printed. */
  ran(command: string, output: readonly string[]): void {
    this.line(`    ${this.#style("dim", `$ ${command}`)}`);
    for (const line of output) this.line(`      ${line}`);
  }

  note(text: string): void {
    this.line(`    ${text}`);
  }

  /** Waits until `done` says so, looking every 100 ms; gives the milliseconds that it took. */
  async wait(what: string, until: number, limit: number, done: () => Promise<boolean>): Promise<number> {
    const started = Date.now();
    if (!this.#out.isTTY) this.note(`waiting for ${what} …`);
    try {
      for (;;) {
        if (this.#out.isTTY) {
          const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
          this.#out.write(`\r\x1b[2K    ${what} in ${left} s `);
        }
        if (await done()) return Date.now() - started;
        if (Date.now() - started > limit) throw new Error(`waited ${limit / 1000} s for ${what}, in vain`);
        await delay(100, undefined, { signal: this.#signal });
      }
    } finally {
      if (this.#out.isTTY) this.#out.write("\r\x1b[2K");
    }
  }

  /** Honours NO_COLOR and FORCE_COLOR, and what the stream is. */
  #style(format: Parameters<typeof styleText>[0], text: string): string {
    return styleText(format, text, { stream: this.#out });
  }
}

/** Ends a step that is not as told. */
export function expectThat(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}
