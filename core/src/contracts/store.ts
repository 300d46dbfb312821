import type { WkfsEvent } from "../model/event.ts";
import type { Lease, LeaseKey } from "../model/lease.ts";

/**
 * What must survive a crash: leases, history, notifications that wait. It never assumes that this
 * process is the only one.
 *
 * 1. `open` once.
 * 2. The other methods, in any order; writes are applied in the order of their calls.
 * 3. `close`, and nothing after it.
 *
 * Everything rejects with `STORE_FAILED`. A torn or damaged store is reported by `open` (or by the
 * read that finds it); it is never read as an empty one.
 */
export interface Store {
  /** Makes or opens the store and checks that it is whole. */
  open(): Promise<void>;

  /** All leases that were put and not removed, ended ones among them. */
  leases(): Promise<readonly Lease[]>;

  /** Applies all of it or nothing. What resolved is on disk. */
  write(change: StoreChange): Promise<void>;

  /** History, newest first, at most `limit` events, not older than `since` (ms since the epoch). */
  history(query: { readonly since?: number; readonly limit: number }): Promise<readonly WkfsEvent[]>;

  /** Notifications that wait, for one notifier, oldest first, at most `limit`. */
  pending(notifier: string, limit: number): Promise<readonly PendingNotification[]>;

  /** Frees files and locks. Idempotent. */
  close(): Promise<void>;
}

/** One change of a store. Every part may be missing, and be an empty list. */
export interface StoreChange {
  /** Leases to put; one with an equal key is replaced. Removals come first: what is in both is there afterwards. */
  readonly put?: readonly Lease[];
  /** Keys of leases to remove; unknown ones are no error. */
  readonly remove?: readonly LeaseKey[];
  /** Events to append to the history. */
  readonly append?: readonly WkfsEvent[];
  /** Notifications that wait from now on; their ids are new. */
  readonly enqueue?: readonly PendingNotification[];
  /** Ids of notifications that are done with; unknown ones are no error. */
  readonly dequeue?: readonly string[];
  /** Drops history older than this (ms since the epoch). */
  readonly forgetBefore?: number;
}

/** One event on its way to one notifier. */
export interface PendingNotification {
  /** Unique. */
  readonly id: string;
  /** Which of the configured notifiers it is for. */
  readonly notifier: string;
  readonly event: WkfsEvent;
}
