import type { Clock, KernelLease, Lease, LeaseKey } from "@wkfs/core";
import type { Layout } from "./layout.ts";

/** Milliseconds before its end from which a lease proves nothing any more. */
const NEAR = 2000;

/** A lease that must be in its set. */
export interface Sample {
  readonly set: string;
  readonly key: LeaseKey;
  /** On the steady clock: setting the other one changes nothing in the kernel. */
  readonly ends: number;
}

/**
 * For each set the lease that lasts longest, as far as is known. When it is gone somebody has emptied the set: nft 1.0
 * does not say how many elements a set has, and reading all of them takes seconds at 100,000.
 */
export class Samples {
  readonly #layout: Layout;
  readonly #clock: Clock;
  readonly #samples = new Map<string, Sample>();

  constructor(layout: Layout, clock: Clock) {
    this.#layout = layout;
    this.#clock = clock;
  }

  /** Before the kernel is told to close leases: a sample among them proves nothing from then on. */
  closing(keys: readonly LeaseKey[]): void {
    for (const key of keys) {
      const set = this.#layout.sets.get(key.address.family)!;
      if (same(this.#samples.get(set)?.key, key)) this.#samples.delete(set);
    }
  }

  /** Leases that the kernel has taken. */
  opened(leases: readonly (Lease | KernelLease)[]): void {
    const shift = this.#clock.steady() - this.#clock.now();
    for (const { address, port, deadline = 0 } of leases) {
      const set = this.#layout.sets.get(address.family)!;
      const best = this.#samples.get(set);
      const key = { address, port };
      const ends = deadline + shift;
      if (best === undefined || ends > best.ends || same(best.key, key)) this.#samples.set(set, { set, key, ends });
    }
  }

  /** Everything that the kernel holds. */
  read(leases: readonly KernelLease[]): void {
    this.#samples.clear();
    this.opened(leases);
  }

  /** Those that must be in the kernel now. */
  standing(): Sample[] {
    const from = this.#clock.steady() + NEAR;
    return [...this.#samples.values()].filter(({ ends }) => ends > from);
  }

  /** Whether it is still what it was when it was given out. */
  stands(sample: Sample): boolean {
    return this.#samples.get(sample.set) === sample;
  }
}

function same(one: LeaseKey | undefined, other: LeaseKey): boolean {
  return (
    one?.address.text === other.address.text &&
    one.port.number === other.port.number &&
    one.port.protocol === other.port.protocol
  );
}
