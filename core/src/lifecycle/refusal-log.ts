import type { Clock, Logger } from "../contracts/plugin.ts";

/** Milliseconds in which at most one line is written for each reason. */
const EVERY = 10_000;

/** Says why requests are refused without letting strangers fill the disk: one line a reason and 10 seconds. */
export class RefusalLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #reasons = new Map<string, { quietUntil: number; passedOver: number }>();

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** `reason` is one of a fixed number of texts; `address` is asked when a line is written. */
  note(reason: string, address: () => string | undefined): void {
    const now = this.#clock.now();
    const entry = this.#reasons.get(reason);
    if (entry !== undefined && now < entry.quietUntil) {
      entry.passedOver += 1;
      return;
    }
    this.#log.warn({ reason, address: address(), alsoSince: entry?.passedOver ?? 0 }, "request refused");
    this.#reasons.set(reason, { quietUntil: now + EVERY, passedOver: 0 });
  }
}
