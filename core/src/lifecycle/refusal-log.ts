import type { Clock, Logger } from "../contracts/plugin.ts";

/** Milliseconds in which at most one line is written for each reason. */
const EVERY = 10_000;

/** What a line says: `count` are the refusals since the last one for this reason. */
export interface Refusals {
  readonly type: "refused";
  readonly time: number;
  readonly reason: string;
  readonly address: string | undefined;
  readonly count: number;
}

/** Says why requests are refused without letting strangers fill the disk: one line a reason and 10 seconds. */
export class RefusalLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #tell: (refusals: Refusals) => void;
  readonly #reasons = new Map<string, { quietUntil: number; passedOver: number }>();

  constructor(log: Logger, clock: Clock, tell: (refusals: Refusals) => void = () => {}) {
    this.#log = log;
    this.#clock = clock;
    this.#tell = tell;
  }

  /** `reason` is one of a fixed number of texts; `address` is asked when a line is written. */
  note(reason: string, address: () => string | undefined): void {
    const now = this.#clock.now();
    const entry = this.#reasons.get(reason);
    if (entry !== undefined && now < entry.quietUntil) {
      entry.passedOver += 1;
      return;
    }
    const [whose, alsoSince] = [address(), entry?.passedOver ?? 0];
    this.#log.warn({ reason, address: whose, alsoSince }, "request refused");
    this.#reasons.set(reason, { quietUntil: now + EVERY, passedOver: 0 });
    this.#tell({ type: "refused", time: now, reason, address: whose, count: 1 + alsoSince });
  }
}
