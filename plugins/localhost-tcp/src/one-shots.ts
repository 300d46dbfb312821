import { type Clock, WkfsError, isWkfsError, messageOf } from "@wkfs/core";
import type { LocalhostTcpConfig } from "./config.ts";
import { type Switched, exchange } from "./exchange.ts";
import { replyText } from "./message.ts";
import { Slots } from "./slots.ts";

const UNREACHABLE_HINT =
  "Start the daemon (`wkfs daemon`), and see that gateway and daemon have the same transport host and port.";
const FAILED_HINT = "See the daemon's log for what became of the request.";

/** What becomes of a request besides being sent for a reply. */
export interface OneShotTerms<Link> {
  /** Asked when it is the request's turn: false when another way is there now. It is not sent then. */
  wanted(): boolean;
  readonly switched: Switched<Link>;
}

/** Requests that go over a connection of their own each, as in the PHP program. */
export class OneShots {
  readonly #config: LocalhostTcpConfig;
  readonly #clock: Clock;
  readonly #slots: Slots;
  readonly #underWay = new Map<AbortController, Promise<unknown>>();

  constructor(config: LocalhostTcpConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
    this.#slots = new Slots(config.maxConnections);
  }

  /**
   * Resolves with the reply, with what `switched` made of the connection, or with undefined when the
   * request was not wanted. Rejects as `Transport.call` does.
   */
  async send<Link extends object>(
    text: string,
    signal: AbortSignal,
    terms: OneShotTerms<Link>,
  ): Promise<string | Link | undefined> {
    const end = new AbortController();
    const callOff = () => end.abort(new Error("was called off", { cause: signal.reason }));
    if (signal.aborted) callOff();
    signal.addEventListener("abort", callOff, { once: true });
    const sending = this.#send(text, end, terms);
    this.#underWay.set(end, sending);
    try {
      return await sending;
    } finally {
      this.#underWay.delete(end);
      signal.removeEventListener("abort", callOff);
    }
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    const calls = [...this.#underWay.values()];
    for (const end of this.#underWay.keys()) end.abort(new Error("was ended because the gateway stops"));
    await Promise.allSettled(calls);
  }

  async #send<Link extends object>(
    text: string,
    end: AbortController,
    { wanted, switched }: OneShotTerms<Link>,
  ): Promise<string | Link | undefined> {
    const { host, port, connectTimeout, replyTimeout } = this.#config;
    const limit = (seconds: number, what: string) =>
      this.#clock.setTimer(seconds * 1000, () => end.abort(new Error(`${what} within ${seconds} s`)));
    // Waiting for one's turn counts as waiting for the connection.
    let lift = limit(connectTimeout, "took no connection");
    let taken = false;
    try {
      await this.#slots.take(end.signal);
      try {
        if (!wanted()) return undefined;
        const reply = await exchange({ host, port }, text, end.signal, switched, () => {
          taken = true;
          lift();
          lift = limit(replyTimeout, "gave no answer");
        });
        return reply instanceof Uint8Array ? replyText(reply) : reply;
      } finally {
        this.#slots.give();
      }
    } catch (cause) {
      const hint = isWkfsError(cause) ? cause.hint : undefined;
      const at = `daemon at ${host} port ${port}: ${messageOf(cause)}`;
      throw taken
        ? new WkfsError("TRANSPORT_FAILED", at, { hint: hint ?? FAILED_HINT, cause })
        : new WkfsError("TRANSPORT_UNREACHABLE", at, { hint: UNREACHABLE_HINT, cause });
    } finally {
      lift();
    }
  }
}
