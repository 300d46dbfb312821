import type { Lease } from "./lease.ts";
import type { Port } from "./port.ts";
import type { Address } from "./address.ts";

/**
 * What happened, for the history and the notifiers. `time` is in milliseconds since the epoch.
 * Events are plain JSON: they are stored and handed to plugins as they are.
 */
export type WkfsEvent =
  /** A knock opened these leases. */
  | { readonly type: "opened"; readonly time: number; readonly leases: readonly Lease[] }
  /** A knock moved the deadline of these leases. */
  | { readonly type: "renewed"; readonly time: number; readonly leases: readonly Lease[] }
  /** These leases ended on their deadline. */
  | { readonly type: "expired"; readonly time: number; readonly leases: readonly Lease[] }
  /** These leases were ended before their deadline. `by` is who asked for it: `BY_HAND`, or the client itself. */
  | { readonly type: "closed"; readonly time: number; readonly leases: readonly Lease[]; readonly by: string }
  /** An authenticated knock opened nothing. `reason` is a `KnockRefusal`. */
  | {
      readonly type: "refused";
      readonly time: number;
      readonly client: string | undefined;
      readonly address: Address;
      readonly ports: readonly Port[];
      readonly reason: string;
    }
  /** The packet filter had been changed underneath and was put right. `found` says what was wrong. */
  | { readonly type: "healed"; readonly time: number; readonly firewall: string; readonly found: readonly string[] }
  /** Something that must work did not and is tried again: closing a port, putting the filter right. */
  | { readonly type: "failed"; readonly time: number; readonly firewall: string; readonly what: string }
  | { readonly type: "started"; readonly time: number; readonly leases: number }
  | { readonly type: "stopped"; readonly time: number };

/** The kinds of events, as `events` of a notifier names them. */
export type EventType = WkfsEvent["type"];

/** All of them. */
export const EVENT_TYPES = [
  "opened",
  "renewed",
  "expired",
  "closed",
  "refused",
  "healed",
  "failed",
  "started",
  "stopped",
] as const satisfies readonly EventType[];

/** What is worth a message where nobody says otherwise. Of a renewal and of the end of a lease there may be thousands. */
export const TOLD: readonly EventType[] = ["opened", "healed", "failed"];
