import type { Address } from "./address.ts";
import type { Port } from "./port.ts";
import type { Lease } from "./lease.ts";

/** A request to open ports, checked and typed: what the daemon decides on. */
export interface Knock {
  /** Whom to open for: one host. */
  readonly address: Address;
  /** Without duplicates. May hold ports that are not offered; they are not opened. */
  readonly ports: readonly Port[];
  /** How long the ports shall stay open, in milliseconds; the daemon cuts it to what it allows. */
  readonly duration: number;
  /** The name of the key set, where the gateway told one. */
  readonly client: string | undefined;
  /** From somebody who may steer the daemon, and not by a key: every protected port may then be opened. */
  readonly byHand?: true;
}

/** What became of a knock. */
export type KnockOutcome =
  | {
      readonly opened: readonly Lease[];
      readonly renewed: readonly Lease[];
      readonly refused: readonly Port[];
      /** Why a port that could have been opened stands among the refused; absent where all of them are not offered. */
      readonly because?: KnockRefusal;
    }
  | { readonly refusal: KnockRefusal };

/**
 * Why nothing was opened; the codes are those that stand in the answer's `errorcode`. `not_allowed` is for policies of an
 * embedder's own.
 */
export type KnockRefusal =
  | "no_ports"
  | "unknown_client"
  | "not_allowed"
  | "too_many_knocks"
  | "too_many_leases"
  | "too_many_leases_of_address"
  | "firewall_failed"
  | "firewall_full"
  | "store_failed"
  | "stopping";
