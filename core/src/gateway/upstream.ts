import type { Clock, Logger } from "../contracts/plugin.ts";
import type { GrantRequest, Transport } from "../contracts/transport.ts";
import { isWkfsError, messageOf } from "../model/errors.ts";
import type { GatewayEvent } from "./event.ts";
import type { ReplayGuard } from "./replay-guard.ts";

/** What a process that serves HTTP asks the one that knows the daemon. Plain JSON, for it may cross a process. */
export interface Ask {
  /** The digest by which a repeat of this request is known. */
  readonly key: string;
  readonly grant: GrantRequest & { readonly ip: string; readonly client: string };
}

/** What the daemon wrote, to the letter, or why there is nothing. */
export type Reply = { readonly text: string } | { readonly failure: "unreachable" | "broken" | "busy" };

/** Never rejects. */
export type Upstream = (ask: Ask) => Promise<Reply>;

/** Asks the daemon, and gives a repeat the first reply. One for a gateway, however many processes serve. */
export function createUpstream(parts: {
  readonly transport: Transport;
  readonly guard: ReplayGuard<Reply>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly tell: (event: GatewayEvent) => void;
}): Upstream {
  const { transport, guard, clock, log, signal, tell } = parts;
  async function ask({ grant }: Ask): Promise<Reply> {
    const data = { client: grant.client, address: grant.ip };
    try {
      const text = await transport.call(grant, signal);
      log.info({ ...data, reply: text.slice(0, 300) }, "knock answered by the daemon");
      tell({ type: "answered", time: clock.now(), ...data, reply: text });
      return { text };
    } catch (error) {
      log.error({ ...data, error: messageOf(error) }, "no answer from the daemon");
      tell({ type: "failed", time: clock.now(), ...data, error });
      return { failure: isWkfsError(error, "TRANSPORT_UNREACHABLE") ? "unreachable" : "broken" };
    }
  }
  return (request) => guard.once(request.key, () => ask(request)) ?? Promise.resolve({ failure: "busy" });
}
