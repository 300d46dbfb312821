import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import { open } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** Milliseconds that a program has to end when it is told to. */
const PATIENCE = 10_000;
/** Characters of a line of a log that is looked for. */
const LONGEST_LINE = 4096;

/** A program that was started: what it logs, what it answers, and its end. */
export class Program implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #log: string | undefined;
  readonly #ended: Promise<void>;
  #asked = 0;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();

  constructor(child: ChildProcess, argv: readonly string[], log: string | undefined) {
    this.#child = child;
    this.#name = argv.slice(1).join(" ");
    this.#log = log;
    this.#ended = once(child, "exit").then(
      () => this.#rejectAll("ended"),
      (error: Error) => this.#rejectAll(error.message),
    );
    child.on("message", (message: { id: number; reply?: unknown; error?: string }) => {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error === undefined) waiting?.resolve(message.reply);
      else waiting?.reject(new Error(`${this.#name}: ${message.error}`));
    });
    child.on("error", () => {});
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Bytes of the log. */
  get logged(): number {
    return statSync(this.#log!).size;
  }

  /** Waits until the log holds this text, from some byte on, and gives its line; rejects when the program ends without. */
  async says(text: string, { limit = 60_000, from = 0 } = {}): Promise<string> {
    const file = await open(this.#log!, "r");
    let at = from;
    try {
      const end = performance.now() + limit;
      let seen = "";
      for (;;) {
        const { running } = this;
        for (;;) {
          const { bytesRead, buffer } = await file.read(Buffer.alloc(65_536), 0, 65_536, at);
          if (bytesRead === 0) break;
          at += bytesRead;
          seen = seen.slice(-LONGEST_LINE) + buffer.toString("utf8", 0, bytesRead);
          const place = seen.indexOf(text);
          const close = place === -1 ? -1 : seen.indexOf("\n", place);
          if (close !== -1) return seen.slice(seen.lastIndexOf("\n", place) + 1, close);
        }
        if (!running) throw new Error(`${this.#name} ended: ${seen.slice(-2000)}`);
        if (performance.now() > end) throw new Error(`${this.#name} did not say ${text}`);
        await delay(2);
      }
    } finally {
      await file.close();
    }
  }

  /** Sends a request to a process of `answers` and gives its reply. */
  async ask<Reply>(request: object): Promise<Reply> {
    if (!this.running) throw new Error(`${this.#name} has ended`);
    const id = (this.#asked += 1);
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    this.#child.send({ id, request }, (error) => error && waiting.reject(error));
    return (await waiting.promise) as Reply;
  }

  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (!this.running) return;
    this.#child.kill(signal);
    const impatient = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE);
    await this.#ended;
    clearTimeout(impatient);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }

  #rejectAll(why: string): void {
    for (const waiting of this.#waiting.values()) waiting.reject(new Error(`${this.#name} ${why}`));
    this.#waiting.clear();
  }
}
