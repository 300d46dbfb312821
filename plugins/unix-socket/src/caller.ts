import { connect } from "node:net";
import { type Clock, type GrantRequest, WkfsError, messageOf } from "@wkfs/core";
import { strangerFault } from "@wkfs/core/host";
import { type CallingSide, CallingLink, formatRequest } from "@wkfs/localhost-tcp";
import type { UnixSocketConfig } from "./config.ts";
import { MAX_MESSAGE, REPLY_TIMEOUT } from "./listener.ts";

/** How long a daemon may take to speak in frames, in seconds. */
const CONNECT_TIMEOUT = 3;
const HINT =
  "Start the daemon (`wkfs daemon`), see that both have the same transport path, and that the gateway's user is in the socket's group.";

/** The gateway's side: one link for all requests, made when a request needs it. */
export class Caller implements CallingSide {
  readonly #path: string;
  readonly #clock: Clock;
  /** The one that takes calls, one that is being made, and those that still wait for answers. */
  readonly #links = new Set<CallingLink>();
  #link: CallingLink | undefined;
  #connecting: Promise<CallingLink> | undefined;
  #closed = false;

  constructor(config: UnixSocketConfig, clock: Clock) {
    this.#path = config.path;
    this.#clock = clock;
  }

  async call(request: GrantRequest, signal: AbortSignal): Promise<string> {
    const text = formatRequest(request, MAX_MESSAGE);
    const link = this.#link ?? (await this.#connected(signal));
    return await link.call(text, signal);
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(Array.from(this.#links, (link) => link.close()));
  }

  /** Waits for the connection that is being made, which other calls may wait for too. */
  async #connected(signal: AbortSignal): Promise<CallingLink> {
    const off = Promise.withResolvers<never>();
    const callOff = () => off.reject(this.#unreachable(new Error("the call was called off")));
    if (signal.aborted) callOff();
    else this.#connecting ??= this.#connect();
    signal.addEventListener("abort", callOff, { once: true });
    try {
      return await Promise.race([off.promise, this.#connecting ?? off.promise]);
    } finally {
      signal.removeEventListener("abort", callOff);
    }
  }

  async #connect(): Promise<CallingLink> {
    try {
      const fault = await strangerFault(this.#path);
      if (fault !== undefined) throw new Error(`it could be another's than the daemon's, since ${fault}`);
      if (this.#closed) throw new Error("the gateway stops");
      const link = new CallingLink(connect({ path: this.#path }), {
        clock: this.#clock,
        peer: `daemon at ${this.#path}`,
        turnTime: CONNECT_TIMEOUT * 1000,
        answerTime: REPLY_TIMEOUT * 1000,
        over: () => {
          if (this.#link === link) this.#link = undefined;
        },
      });
      this.#links.add(link);
      void link.closed.then(() => this.#links.delete(link));
      const lift = this.#clock.setTimer(CONNECT_TIMEOUT * 1000, () => void link.close("did not answer within 3 s"));
      await link.ready.finally(lift);
      this.#link = link;
      return link;
    } catch (cause) {
      throw this.#unreachable(cause);
    } finally {
      this.#connecting = undefined;
    }
  }

  #unreachable(cause: unknown): WkfsError {
    const text = `daemon at ${this.#path}: ${messageOf(cause)}`;
    return new WkfsError("TRANSPORT_UNREACHABLE", text, { hint: HINT, cause });
  }
}
