import type { Clock } from "../src/contracts/plugin.ts";

/**
 * A clock that stands until it is moved with `advance`; timers fire while it moves, in the order of their time. It begins at
 * `now`, in milliseconds since the epoch.
 */
export class FakeClock implements Clock {
  #now: number;
  #set = 0;
  readonly #timers = new Set<{ at: number; callback: () => void }>();

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now + this.#set;
  }

  steady(): number {
    return this.#now;
  }

  /** Sets the time of day, as an administrator or NTP does: timers do not notice. */
  set(by: number): void {
    this.#set += by;
  }

  setTimer(delay: number, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, delay), callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** How many timers wait: none after a clean stop. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Moves time on by `ms` and lets what becomes due run, promises included. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const next = [...this.#timers].filter((timer) => timer.at <= end).toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await settle();
    }
    this.#now = end;
    await settle();
  }
}

/** Lets every promise that can go on without time or I/O go on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
