import type { KeySet, ServerConfig } from "../config/index.ts";
import { DEFAULT_KEY_SET } from "../config/index.ts";
import type { Knock, KnockRefusal } from "../model/knock.ts";
import { BY_HAND, type Lease, leaseId } from "../model/lease.ts";
import { type Port, type ProtectedPorts, includesPort } from "../model/port.ts";
import type { Address } from "../model/address.ts";

/** What a client may ask for: its ports, and seconds at most. */
interface Limits extends ProtectedPorts {
  readonly maxTime: number;
}

/** What a knock would change; at least one lease. */
export interface Decision {
  /** Leases that are new. */
  readonly opened: readonly Lease[];
  /** Leases that stand, with their new deadline. */
  readonly renewed: readonly Lease[];
  /** Ports that are not opened. */
  readonly refused: readonly Port[];
  /** Why there was no room for some of them; absent where there was. */
  readonly because?: KnockRefusal;
}

/** How much may be opened still; see `limits` of the configuration. */
export interface Room {
  /** Takes the room of one more lease for this address, or says why there is none. */
  take(address: Address): KnockRefusal | undefined;
}

/** What a policy is asked about one knock. */
export interface Question {
  /** What is asked for. */
  readonly knock: Knock;
  /** What `clientOf` gave. */
  readonly client: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The lease that stands now, by its `leaseId`. */
  readonly current: (id: string) => Lease | undefined;
  /** To be asked once for each lease that is new. */
  readonly room: Room;
}

/**
 * Who may open what. Asked by the daemon for each knock that makes sense, one after the other; answers at once, from memory. An
 * error that it throws opens nothing, for anybody whose knock is decided on in the same transaction.
 */
export interface Policy {
  /** The name under which a knock goes, or undefined when it is nobody's that we know: `unknown_client`. */
  clientOf(knock: Knock): string | undefined;
  /** The leases that a knock gives, or why it gives none: `not_allowed`, unless another `KnockRefusal` says more. */
  decide(question: Question): Decision | { readonly refusal: KnockRefusal };
  /**
   * At the start: what is left at `now` (ms since the epoch) of a lease that a former run gave; undefined ends it. The same
   * object when it is as it was.
   */
  uphold(lease: Lease, now: number): Lease | undefined;
}

/**
 * Who may open what, from the daemon's own configuration. The gateway's word counts for nothing but the
 * name of the key set, which it alone can know; and where sets have names, a request without a name,
 * or with one that is not configured, opens nothing.
 */
export class ConfiguredPolicy implements Policy {
  readonly #config: Pick<ServerConfig, "protect" | "namedKeys" | "keySets">;
  readonly #sets: ReadonlyMap<string, KeySet>;

  constructor(config: Pick<ServerConfig, "protect" | "namedKeys" | "keySets">) {
    this.#config = config;
    this.#sets = new Map(config.keySets.map((set) => [set.name, set]));
  }

  clientOf(knock: Knock): string | undefined {
    if (knock.byHand) return BY_HAND;
    if (!this.#config.namedKeys) return DEFAULT_KEY_SET;
    // The text of the configuration: one for all leases, where that of the knock would be one for each.
    return knock.client === undefined ? undefined : this.#sets.get(knock.client)?.name;
  }

  /** A lease never gets shorter by a knock. */
  decide({ knock, client, now, current, room }: Question): Decision | { readonly refusal: KnockRefusal } {
    const limits: Limits = this.#sets.get(client) ?? this.#config.protect;
    const until = now + Math.min(knock.duration, limits.maxTime * 1000);
    const opened: Lease[] = [];
    const renewed: Lease[] = [];
    const refused: Port[] = [];
    let refusal: KnockRefusal = "no_ports";
    for (const port of knock.ports) {
      if (!includesPort(limits, port)) {
        refused.push(port);
        continue;
      }
      const key = { address: knock.address, port };
      const standing = current(leaseId(key));
      if (standing !== undefined && standing.deadline > now) {
        renewed.push({ ...standing, client, deadline: Math.max(standing.deadline, until) });
        continue;
      }
      const full = standing === undefined ? room.take(knock.address) : undefined;
      if (full === undefined) opened.push({ ...key, client, openedAt: now, deadline: until });
      else {
        refusal = full;
        refused.push(port);
      }
    }
    if (opened.length + renewed.length === 0) return { refusal };
    return refusal === "no_ports" ? { opened, renewed, refused } : { opened, renewed, refused, because: refusal };
  }

  /**
   * Has time left and its port is still protected: for no longer than a new one would last. So neither a changed
   * configuration nor a clock that was wrong keeps a port open.
   */
  uphold(lease: Lease, now: number): Lease | undefined {
    const { protect } = this.#config;
    if (lease.deadline <= now || !includesPort(protect, lease.port)) return undefined;
    const latest = now + protect.maxTime * 1000;
    return lease.deadline <= latest ? lease : { ...lease, deadline: latest };
  }
}
