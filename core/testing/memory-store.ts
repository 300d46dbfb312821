import type { PendingNotification, Store, StoreChange } from "../src/contracts/store.ts";
import { WkfsError } from "../src/model/errors.ts";
import type { WkfsEvent } from "../src/model/event.ts";
import { type Lease, leaseId } from "../src/model/lease.ts";

/**
 * A store in memory that outlives the daemon of a test: what is public beyond the contract is the disk's side.
 * It refuses when it is told to.
 */
export class MemoryStore implements Store {
  readonly leasesOnDisk: Map<string, Lease>;
  /** Oldest first. */
  readonly historyOnDisk: WkfsEvent[];
  /** Notifications that wait, by their ids. */
  readonly waiting: Map<string, PendingNotification>;
  /** Called before each write: throw to refuse it, or return a promise to hold it. */
  onWrite: (change: StoreChange) => void | Promise<void> = () => {};
  #open = false;

  /** With another store, one of another process over the same disk. */
  constructor(disk?: MemoryStore) {
    this.leasesOnDisk = disk?.leasesOnDisk ?? new Map();
    this.historyOnDisk = disk?.historyOnDisk ?? [];
    this.waiting = disk?.waiting ?? new Map();
  }

  async open(): Promise<void> {
    this.#open = true;
  }

  async leases(): Promise<readonly Lease[]> {
    this.#mustBeOpen();
    return [...this.leasesOnDisk.values()];
  }

  async write(change: StoreChange): Promise<void> {
    this.#mustBeOpen();
    await this.onWrite(change);
    // What one change both removes and puts is there afterwards.
    for (const key of change.remove ?? []) this.leasesOnDisk.delete(leaseId(key));
    for (const lease of change.put ?? []) this.leasesOnDisk.set(leaseId(lease), lease);
    this.historyOnDisk.push(...(change.append ?? []));
    for (const pending of change.enqueue ?? []) this.waiting.set(pending.id, pending);
    for (const id of change.dequeue ?? []) this.waiting.delete(id);
    const { forgetBefore } = change;
    if (forgetBefore === undefined) return;
    const kept = this.historyOnDisk.filter(({ time }) => time >= forgetBefore);
    this.historyOnDisk.splice(0, this.historyOnDisk.length, ...kept);
  }

  async history({
    since = 0,
    limit,
  }: {
    readonly since?: number;
    readonly limit: number;
  }): Promise<readonly WkfsEvent[]> {
    this.#mustBeOpen();
    return this.historyOnDisk
      .filter(({ time }) => time >= since)
      .toReversed()
      .slice(0, limit);
  }

  async pending(notifier: string, limit: number): Promise<readonly PendingNotification[]> {
    this.#mustBeOpen();
    return [...this.waiting.values()].filter((pending) => pending.notifier === notifier).slice(0, limit);
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  #mustBeOpen(): void {
    if (!this.#open) throw new WkfsError("STORE_FAILED", "the store is not open");
  }
}
