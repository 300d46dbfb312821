import { createHash } from "node:crypto";
import type { Clock } from "../contracts/plugin.ts";
import { TIME_WINDOW } from "../protocol/messages.ts";

/** Most requests remembered. Only holders of keys make entries, and each lasts half a minute. */
const MOST = 65_536;

/**
 * Nothing in protocol v1 makes a request unique, so a request that was overheard could be sent again while its
 * time is good. An exact repeat of an authenticated payload gets the first answer and moves nothing.
 *
 * The memory is this process's, so requests made before this process are refused. Times in them are whole
 * seconds: `since` is the first second of which no earlier process can have seen anything.
 */
export class ReplayGuard<Answer> {
  readonly #clock: Clock;
  readonly #since: number;
  /** By the digest of set and payload; the oldest come first. */
  readonly #seen = new Map<string, { readonly until: number; readonly answer: Promise<Answer> }>();

  /** `since` in seconds since the epoch. */
  constructor(clock: Clock, since: number) {
    this.#clock = clock;
    this.#since = since;
  }

  /** Whether a request of this time (seconds) may have been seen by an earlier process. */
  predates(ts: number): boolean {
    return ts < this.#since;
  }

  /** The answer to this payload: the first one when there was one, else that of `work`. Undefined when full. */
  once(keySet: string, payload: Uint8Array, work: () => Promise<Answer>): Promise<Answer> | undefined {
    const now = this.#clock.now();
    for (const [key, { until }] of this.#seen) {
      if (until > now) break;
      this.#seen.delete(key);
    }
    const key = createHash("sha256").update(keySet).update("\0").update(payload).digest("base64");
    const seen = this.#seen.get(key);
    if (seen !== undefined) return seen.answer;
    if (this.#seen.size >= MOST) return undefined;
    const answer = work();
    // From 15 seconds ahead of us to 15 behind: a request can be good for 30, and one for the rounding.
    this.#seen.set(key, { until: now + (2 * TIME_WINDOW + 1) * 1000, answer });
    return answer;
  }
}
