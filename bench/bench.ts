import { styleText } from "node:util";
import { type RoundOptions, type Side, type Spread, interleave } from "./measure.ts";
import type { Scale } from "./options.ts";
import type { Row } from "./row.ts";
import { FIREWALLS, type FirewallName } from "./site.ts";
import type { Stage } from "./stage.ts";

/** Rows that are measured on one set-up. */
export interface Family {
  /** What stands before the slash in the ids of its rows. */
  readonly name: string;
  measure(bench: Bench): Promise<void>;
}

/** What a family is given: where to measure, how much, and where its rows go. */
export class Bench {
  readonly stage: Stage;
  readonly scale: Scale;
  readonly rows: Row[] = [];
  readonly #only: readonly string[];

  constructor(stage: Stage, scale: Scale, only: readonly string[]) {
    this.stage = stage;
    this.scale = scale;
    this.#only = only;
  }

  /** Whether a row, or any row of a family, is to be measured. */
  wants(id: string): boolean {
    return this.#only.length === 0 || this.#only.some((only) => id.startsWith(only) || only.startsWith(`${id}/`));
  }

  /** The packet filters to measure. */
  get firewalls(): readonly FirewallName[] {
    return this.scale.quick ? ["nftables"] : FIREWALLS;
  }

  async rounds<Name extends string>(
    sides: Readonly<Record<Name, Side>>,
    options: Partial<RoundOptions> = {},
  ): Promise<Record<Name, Spread>> {
    return await interleave(sides, { ...this.scale, signal: this.stage.signal, ...options });
  }

  report(...rows: readonly Row[]): void {
    this.rows.push(...rows.filter(({ id }) => this.wants(id)));
  }

  /** Says on a terminal what is being done. */
  progress(text: string): void {
    if (process.stderr.isTTY) process.stderr.write(`${styleText("dim", text)}\n`);
  }
}
