import { type Clock, type GrantRequest, WkfsError, isWkfsError, messageOf } from "@wkfs/core";
import type { LocalhostTcpConfig } from "./config.ts";
import { type Peer, exchange } from "./exchange.ts";
import { formatRequest, replyText } from "./message.ts";
import { Slots } from "./slots.ts";

const UNREACHABLE_HINT =
  "Start the daemon (`wkfs daemon`), and see that gateway and daemon have the same transport host and port.";
const FAILED_HINT = "See the daemon's log for what became of the request.";

/** The gateway's side: one connection a request. */
export class Caller {
  readonly #config: LocalhostTcpConfig;
  readonly #secret: string;
  readonly #clock: Clock;
  readonly #slots: Slots;
  readonly #underWay = new Map<AbortController, Promise<string>>();

  constructor(config: LocalhostTcpConfig, secret: string, clock: Clock) {
    this.#config = config;
    this.#secret = secret;
    this.#clock = clock;
    this.#slots = new Slots(config.maxConnections);
  }

  async call(peer: Peer, request: GrantRequest, signal: AbortSignal): Promise<string> {
    const text = this.#format(request);
    const end = new AbortController();
    const callOff = () => end.abort(new Error("was called off", { cause: signal.reason }));
    if (signal.aborted) callOff();
    signal.addEventListener("abort", callOff, { once: true });
    const call = this.#exchange(peer, text, end);
    this.#underWay.set(end, call);
    try {
      return await call;
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

  #format(request: GrantRequest): string {
    let text: string;
    try {
      text = formatRequest(this.#secret, request);
    } catch (cause) {
      throw new WkfsError("TRANSPORT_FAILED", `the request cannot be written as JSON: ${messageOf(cause)}`, {
        hint: "Send plain values, not nested too deeply.",
        cause,
      });
    }
    const size = Buffer.byteLength(text);
    if (size <= this.#config.maxMessage) return text;
    throw new WkfsError("TRANSPORT_FAILED", `the request has ${size} bytes, the limit is ${this.#config.maxMessage}`, {
      hint: "Ask for fewer ports, or raise the transport's maxMessage on both sides.",
    });
  }

  async #exchange(peer: Peer, text: string, end: AbortController): Promise<string> {
    const { connectTimeout, replyTimeout } = this.#config;
    const limit = (seconds: number, what: string) =>
      this.#clock.setTimer(seconds * 1000, () => end.abort(new Error(`${what} within ${seconds} s`)));
    // Waiting for one's turn counts as waiting for the connection.
    let lift = limit(connectTimeout, "took no connection");
    let taken = false;
    try {
      await this.#slots.take(end.signal);
      try {
        const reply = await exchange(peer, text, end.signal, () => {
          taken = true;
          lift();
          lift = limit(replyTimeout, "gave no answer");
        });
        return replyText(reply);
      } finally {
        this.#slots.give();
      }
    } catch (cause) {
      const hint = isWkfsError(cause) ? cause.hint : undefined;
      const at = `daemon at ${peer.host} port ${peer.port}: ${messageOf(cause)}`;
      throw taken
        ? new WkfsError("TRANSPORT_FAILED", at, { hint: hint ?? FAILED_HINT, cause })
        : new WkfsError("TRANSPORT_UNREACHABLE", at, { hint: UNREACHABLE_HINT, cause });
    } finally {
      lift();
    }
  }
}
