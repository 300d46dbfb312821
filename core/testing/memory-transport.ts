import type { Clock } from "../src/contracts/plugin.ts";
import type { GrantHandler, GrantRequest, Transport } from "../src/contracts/transport.ts";
import { WkfsError } from "../src/model/errors.ts";

const MAX_REPLY = 65_536;
/** Milliseconds that a call waits for its answer, by the link's clock. */
const ANSWER_LIMIT = 60_000;

interface Daemon {
  readonly secret: string;
  readonly handler: GrantHandler;
  readonly underWay: Set<Promise<unknown>>;
  readonly dead: PromiseWithResolvers<never>;
}

/**
 * A transport within this process, for tests of a gateway or a daemon: transports of one link reach
 * each other. Requests and replies pass through JSON text, as they do on a wire.
 */
export class MemoryLink {
  /** Whether the daemon's side takes requests and then breaks off instead of answering. */
  broken = false;
  /** Every request that was taken, in order. */
  readonly taken: GrantRequest[] = [];
  #daemon: Daemon | undefined;
  readonly #clock: Clock | undefined;

  /** Without a clock a call waits for ever. */
  constructor(clock?: Clock) {
    this.#clock = clock;
  }

  /** Ends the daemon's side as the kill of its process does. */
  kill(): void {
    this.#daemon?.dead.reject(failed("the daemon broke off"));
    this.#daemon = undefined;
  }

  transport(secret = "the secret of this link"): Transport {
    const calls = new AbortController();
    let closed: Promise<void> | undefined;
    let mine: Daemon | undefined;
    const refuseClosed = () => {
      if (closed !== undefined) throw new WkfsError("STATE_INVALID", "this transport is closed");
    };
    return {
      addresses: ["memory"],
      listen: async (handler) => {
        refuseClosed();
        if (this.#daemon !== undefined) throw new WkfsError("TRANSPORT_FAILED", "somebody listens on this link");
        mine = { secret, handler, underWay: new Set(), dead: Promise.withResolvers() };
        mine.dead.promise.catch(() => {});
        this.#daemon = mine;
      },
      call: async (request, signal) => {
        refuseClosed();
        return this.#call(secret, request, AbortSignal.any([signal, calls.signal]));
      },
      close: () => {
        closed ??= (async () => {
          calls.abort();
          if (mine === undefined) return;
          if (this.#daemon !== mine) return;
          this.#daemon = undefined;
          await Promise.allSettled(mine.underWay);
        })();
        return closed;
      },
    };
  }

  async #call(secret: string, request: GrantRequest, signal: AbortSignal): Promise<string> {
    const daemon = this.#daemon;
    if (daemon === undefined || signal.aborted)
      throw new WkfsError("TRANSPORT_UNREACHABLE", "nobody listens on this link");
    if (secret !== daemon.secret) throw failed("the daemon does not accept our secret");
    const taken = JSON.parse(JSON.stringify(request)) as GrantRequest;
    this.taken.push(taken);
    if (this.broken) throw failed("the daemon broke off");
    const abort = Promise.withResolvers<never>();
    const onAbort = () => abort.reject(failed("the call was called off"));
    signal.addEventListener("abort", onAbort, { once: true });
    const lift = this.#clock?.setTimer(ANSWER_LIMIT, () => abort.reject(failed("the daemon gave no answer")));
    const answer = daemon.handler(taken);
    daemon.underWay.add(answer);
    try {
      const reply = await Promise.race([answer, abort.promise, daemon.dead.promise]);
      if (Buffer.byteLength(reply) > MAX_REPLY) throw failed("the daemon said too much");
      return reply;
    } finally {
      signal.removeEventListener("abort", onAbort);
      lift?.();
      daemon.underWay.delete(answer);
    }
  }
}

function failed(message: string): WkfsError {
  return new WkfsError("TRANSPORT_FAILED", message);
}
