import { hash } from "node:crypto";
import type { Clock } from "../contracts/plugin.ts";
import { TIME_WINDOW } from "../protocol/messages.ts";

/** Most requests remembered: 8,000 a second. Only holders of keys make entries, and each lasts half a minute. */
const MOST = 262_144;

/**
 * Nothing in protocol v1 makes a request unique, so a request that was overheard could be sent again while its
 * time is good. An exact repeat of an authenticated payload gets the first reply and moves nothing.
 */
export class ReplayGuard<Reply> {
  readonly #clock: Clock;
  readonly #most: number;
  /** By key; the oldest come first. */
  readonly #seen = new Map<string, { readonly until: number; readonly reply: Promise<Reply> }>();

  constructor(clock: Clock, most = MOST) {
    this.#clock = clock;
    this.#most = most;
  }

  /** The reply for this key: the first one when there was one, else that of `work`. Undefined when full. */
  once(key: string, work: () => Promise<Reply>): Promise<Reply> | undefined {
    const now = this.#clock.now();
    for (const [old, { until }] of this.#seen) {
      if (until > now) break;
      this.#seen.delete(old);
    }
    const seen = this.#seen.get(key);
    if (seen !== undefined) return seen.reply;
    if (this.#seen.size >= this.#most) return undefined;
    const reply = work();
    // From 15 seconds ahead of us to 15 behind: a request can be good for 30, and one for the rounding.
    this.#seen.set(key, { until: now + (2 * TIME_WINDOW + 1) * 1000, reply });
    return reply;
  }
}

/** What a payload of a key set is known by. */
export function replayKey(keySet: string, payload: Uint8Array): string {
  return hash("sha256", Buffer.concat([Buffer.from(`${keySet}\0`), payload]), "base64");
}
