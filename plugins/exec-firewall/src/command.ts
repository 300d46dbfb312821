import { WkfsError, singleLine } from "@wkfs/core";
import { type Ending, runProgram } from "@wkfs/exec";
import type { z } from "zod";
import type { Operation } from "./messages.ts";

/** Exit status by which the command says that there is no room (EX_CANTCREAT of sysexits.h). */
const FULL = 73;
/** Most bytes of an answer: a quarter of a million leases. */
const ANSWER_LIMIT = 33_554_432;

/** The administrator's command, one process an operation. */
export class Command {
  readonly #argv: readonly [string, ...string[]];

  constructor(argv: readonly [string, ...string[]]) {
    this.#argv = argv;
  }

  /** Resolves when it has done it. Throws `FIREWALL_FAILED`, and `FIREWALL_FULL` where it says so. */
  async run(op: Operation, request: string, limit: number): Promise<void> {
    await this.#ending(op, request, limit, 0);
  }

  /** The same for what it is asked: its answer, checked. */
  async ask<Schema extends z.ZodType>(
    op: Operation,
    request: string,
    limit: number,
    schema: Schema,
  ): Promise<z.output<Schema>> {
    const { output } = await this.#ending(op, request, limit, ANSWER_LIMIT);
    let value: unknown;
    try {
      value = JSON.parse(output);
    } catch {
      const said = output.trim() === "" ? "nothing" : `"${output.trim().slice(0, 100)}", which is no JSON`;
      throw this.#failed(op, `wrote ${said}`);
    }
    const checked = schema.safeParse(value);
    if (checked.success) return checked.data;
    const { path, message } = checked.error.issues[0]!;
    throw this.#failed(op, `wrote an answer that is none: ${path.join(".")}: ${message}`);
  }

  async #ending(op: Operation, request: string, limit: number, outputLimit: number): Promise<Ending> {
    const end = AbortSignal.timeout(limit);
    const ending = await runProgram(this.#argv, { input: request, end, outputLimit });
    const { started, status, signal, tooMuch, error } = ending;
    const said = error.trim() === "" ? "" : `: ${error.trim()}`;
    if (!started) throw this.#failed(op, `cannot be started${said}`);
    if (outputLimit > 0 && tooMuch) throw this.#failed(op, `wrote more than ${outputLimit} bytes`);
    if (status === 0) return ending;
    if (status === FULL) {
      throw new WkfsError("FIREWALL_FULL", this.#text(op, `says that there is no room${said}`), {
        hint: "Make room on the other side, or lower `limits.leases`.",
      });
    }
    if (status === null && end.aborted) throw this.#failed(op, `had no end after ${limit / 1000} s${said}`);
    throw this.#failed(op, status === null ? `was ended by ${signal}${said}` : `ended with status ${status}${said}`);
  }

  #failed(op: Operation, what: string): WkfsError {
    return new WkfsError("FIREWALL_FAILED", this.#text(op, what), {
      hint: "Run `command` of exec-firewall by hand, as the daemon's user, with the JSON that its page shows.",
    });
  }

  #text(op: Operation, what: string): string {
    return singleLine(`${this.#argv[0]} (${op}) ${what}`);
  }
}
