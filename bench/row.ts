import type { Spread } from "./measure.ts";

export type Unit = "1/s" | "ms" | "µs" | "MB" | "KB" | "%";

/** What a row promises: a bound for the median itself, or for its ratio to the reference. */
export interface Target {
  readonly of: "value" | "ratio";
  readonly bound: "at least" | "at most";
  readonly limit: number;
}

/** One line of the table. */
export interface Row {
  /** What `--only` names; families share what stands before the slash. */
  readonly id: string;
  readonly what: string;
  readonly unit: Unit;
  /** Undefined where it was not measured; `note` then says why. */
  readonly value: Spread | undefined;
  readonly reference?: { readonly what: string; readonly value: Spread } | undefined;
  readonly targets?: readonly Target[];
  readonly note?: string;
  /** Why the measurement failed. */
  readonly failure?: string;
}

/** Median to median, so that it can be checked against the table. */
export function ratioOf({ value, reference }: Row): number | undefined {
  if (value === undefined || reference === undefined || reference.value.median === 0) return undefined;
  return value.median / reference.value.median;
}

/** Undefined where there is nothing to judge. */
export function isMet(row: Row, { of, bound, limit }: Target): boolean | undefined {
  const figure = of === "value" ? row.value?.median : ratioOf(row);
  if (figure === undefined) return undefined;
  return bound === "at least" ? figure >= limit : figure <= limit;
}

export const atLeast = (limit: number): Target => ({ of: "value", bound: "at least", limit });
export const atMost = (limit: number): Target => ({ of: "value", bound: "at most", limit });
export const timesAtLeast = (limit: number): Target => ({ of: "ratio", bound: "at least", limit });
export const timesAtMost = (limit: number): Target => ({ of: "ratio", bound: "at most", limit });
