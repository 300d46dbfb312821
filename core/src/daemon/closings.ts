import type { Clock } from "../contracts/plugin.ts";
import type { RefusalLog } from "../lifecycle/refusal-log.ts";
import type { KnockRefusal } from "../model/knock.ts";
import { type Lease, leaseId } from "../model/lease.ts";
import type { CloseRequest } from "../protocol/close-messages.ts";
import type { LeaseBook } from "./lease-book.ts";
import type { Limits } from "./limits.ts";
import type { Policy } from "./policy.ts";
import type { Steering } from "./steering.ts";

export interface ClosingParts {
  readonly book: LeaseBook;
  readonly policy: Policy;
  readonly limits: Limits;
  readonly steering: Steering;
  readonly refusals: RefusalLog;
  readonly clock: Clock;
}

/** Ends leases that their own client gives back before their deadline, and no others. */
export class Closings {
  readonly #parts: ClosingParts;

  constructor(parts: ClosingParts) {
    this.#parts = parts;
  }

  /**
   * Gives what was open and is closed now. Behind one address there may be several clients: a lease is that of the one who renewed
   * it last. A request counts as a knock, so that nobody makes the daemon look through all leases all the time. Rejects with
   * `FIREWALL_FAILED`, as `Steering.close`.
   */
  async close({ address, ports, client }: CloseRequest): Promise<readonly Lease[] | KnockRefusal> {
    const { book, policy, limits, steering, refusals, clock } = this.#parts;
    if (!limits.admits(address, clock.now())) {
      refusals.note("too_many_knocks", () => address.text);
      return "too_many_knocks";
    }
    const name = policy.clientOf({ address, ports: ports ?? [], duration: 0, client });
    if (name === undefined) return "unknown_client";
    // Chosen when it is our turn: until then another client may have renewed a lease.
    const own = (): Lease[] => {
      const standing = ports?.flatMap((port) => book.get(leaseId({ address, port })) ?? []) ?? book.all();
      return standing.filter((lease) => lease.client === name && lease.address.text === address.text);
    };
    return await steering.close(own, name);
  }
}
