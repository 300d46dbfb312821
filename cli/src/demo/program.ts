import type { ChildProcess } from "node:child_process";
import { WkfsError } from "@wkfs/core";

export interface Ending {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How much of an output is kept, in characters. */
const KEPT = 1_000_000;

/** A program that was started: what it says, and how it ends. */
export class Program {
  readonly name: string;
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;
  readonly #text = { stdout: "", stderr: "" };

  constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream]!.setEncoding("utf8").on("data", (text: string) => {
        if (this.#text[stream].length < KEPT) this.#text[stream] += text;
      });
    }
    this.ended = new Promise((resolve) => {
      child.once("error", (error) => resolve({ code: null, stdout: "", stderr: error.message }));
      child.once("close", (code) => resolve({ code, ...this.#text }));
    });
  }

  get stdout(): string {
    return this.#text.stdout;
  }

  get stderr(): string {
    return this.#text.stderr;
  }

  /** Resolves when its output matches; rejects when it ends without, or says it not within `limit` milliseconds. */
  async says(stream: "stdout" | "stderr", pattern: RegExp, limit = 15_000): Promise<RegExpExecArray> {
    const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
    const look = () => {
      const match = pattern.exec(this.#text[stream]);
      if (match !== null) resolve(match);
    };
    const timer = setTimeout(() => reject(this.#failure(`did not say ${pattern} within ${limit / 1000} s`)), limit);
    this.#child[stream]!.on("data", look);
    look();
    void this.ended.then(({ code }) => reject(this.#failure(`ended with ${code}`)));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#child[stream]!.off("data", look);
    }
  }

  /** Sends a message to a program that is a module of ours, and gives the next one that comes back. */
  async ask<Reply>(message?: object): Promise<Reply> {
    const reply = Promise.withResolvers<Reply>();
    this.#child.once("message", (value) => reply.resolve(value as Reply));
    void this.ended.then(({ code }) => reply.reject(this.#failure(`ended with ${code}`)));
    if (message !== undefined) this.#child.send(message, (error) => error && reply.reject(error));
    return await reply.promise;
  }

  #failure(what: string): WkfsError {
    const said = this.#text.stderr.trim().split("\n").slice(-5).join("\n") || "nothing";
    return new WkfsError("HOST_UNSUPPORTED", `${this.name} ${what}; on stderr it said:\n${said}`, {
      hint: "This is not what wkfs promises: please report it, with what it said.",
    });
  }
}
