/** What was measured of one side in all rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

/** Measures once and gives the figure. */
export type Side = () => Promise<number>;

export interface RoundOptions {
  readonly rounds: number;
  /** Rounds before those that count, for compilers and caches of both sides. */
  readonly warmUp: number;
  readonly signal: AbortSignal;
}

/**
 * Measures all sides once a round, each time in the other order: what the machine does beside us then falls on all of
 * them, and none is always the one that comes after the other.
 */
export async function interleave<Name extends string>(
  sides: Readonly<Record<Name, Side>>,
  { rounds, warmUp, signal }: RoundOptions,
): Promise<Record<Name, Spread>> {
  const names = Object.keys(sides) as Name[];
  const figures = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let round = -warmUp; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      signal.throwIfAborted();
      const figure = await sides[name]();
      if (!Number.isFinite(figure)) throw new Error(`${name} gave no figure`);
      if (round >= 0) figures.get(name)!.push(figure);
    }
  }
  return Object.fromEntries(names.map((name) => [name, spread(figures.get(name)!)])) as Record<Name, Spread>;
}

export function spread(figures: readonly number[]): Spread {
  if (figures.length === 0) throw new Error("nothing was measured");
  const sorted = figures.toSorted((a, b) => a - b);
  return { median: medianOf(sorted), min: sorted[0]!, max: sorted.at(-1)!, rounds: sorted.length };
}

export function median(figures: readonly number[]): number {
  return spread(figures).median;
}

function medianOf(sorted: readonly number[]): number {
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
