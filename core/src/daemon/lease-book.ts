import type { AddressFamily } from "../model/address.ts";
import { type Lease, type LeaseKey, leaseId } from "../model/lease.ts";

/** How many are drawn for a sample: when half of all leases are gone, one in 65,000 samples does not show it. */
const SOME = 16;

/** A lease and its place in the heap. */
interface Entry {
  lease: Lease;
  at: number;
}

/**
 * What the daemon holds open, in memory. The store and the kernel follow it; where they differ from
 * it, they are wrong.
 */
export class LeaseBook {
  readonly #entries = new Map<string, Entry>();
  /** A binary heap by deadline. Each entry knows its index, so a renewal moves it and nothing stale stays behind. */
  readonly #heap: Entry[] = [];
  readonly #perFamily = { ipv4: 0, ipv6: 0 };

  get size(): number {
    return this.#entries.size;
  }

  /**
   * How many leases of these families last longer than until `time`. Looks at those that do not, and at no other:
   * this is asked every two seconds.
   */
  lasting(families: readonly AddressFamily[], time: number): number {
    let count = 0;
    for (const family of families) count += this.#perFamily[family];
    const ending = [0];
    for (let at = ending.pop(); at !== undefined; at = ending.pop()) {
      const entry = this.#heap[at];
      if (entry === undefined || entry.lease.deadline > time) continue;
      if (families.includes(entry.lease.address.family)) count -= 1;
      ending.push(at * 2 + 1, at * 2 + 2);
    }
    return count;
  }

  /** A few leases of these families that last longer than until `time`, by chance; fewer where there are few. */
  some(families: readonly AddressFamily[], time: number): Lease[] {
    const found = new Set<Lease>();
    for (let tries = 0; tries < SOME; tries += 1) {
      const lease = this.#heap[Math.floor(Math.random() * this.#heap.length)]?.lease;
      if (lease !== undefined && lease.deadline > time && families.includes(lease.address.family)) found.add(lease);
    }
    return [...found];
  }

  get(id: string): Lease | undefined {
    return this.#entries.get(id)?.lease;
  }

  all(): readonly Lease[] {
    return Array.from(this.#entries.values(), ({ lease }) => lease);
  }

  put(leases: readonly Lease[]): void {
    for (const lease of leases) {
      const id = leaseId(lease);
      const standing = this.#entries.get(id);
      if (standing === undefined) {
        const entry = { lease, at: this.#heap.length };
        this.#entries.set(id, entry);
        this.#heap.push(entry);
        this.#settle(entry);
        this.#perFamily[lease.address.family] += 1;
      } else {
        standing.lease = lease;
        this.#settle(standing);
      }
    }
  }

  remove(keys: readonly LeaseKey[]): void {
    for (const key of keys) {
      const id = leaseId(key);
      const entry = this.#entries.get(id);
      if (entry === undefined) continue;
      this.#entries.delete(id);
      this.#takeOut(entry);
      this.#perFamily[key.address.family] -= 1;
    }
  }

  /** The earliest deadline, in milliseconds since the epoch. */
  nextDeadline(): number | undefined {
    return this.#heap[0]?.lease.deadline;
  }

  /** The leases whose deadline has come, at most `limit`, earliest first. They stay in the book. */
  ended(now: number, limit: number): Lease[] {
    const taken: Entry[] = [];
    for (;;) {
      const first = taken.length < limit ? this.#heap[0] : undefined;
      if (first === undefined || first.lease.deadline > now) break;
      this.#takeOut(first);
      taken.push(first);
    }
    for (const entry of taken) {
      entry.at = this.#heap.length;
      this.#heap.push(entry);
      this.#settle(entry);
    }
    return taken.map(({ lease }) => lease);
  }

  #takeOut(entry: Entry): void {
    const last = this.#heap.pop();
    if (last === undefined || last === entry) return;
    last.at = entry.at;
    this.#settle(last);
  }

  /** Moves an entry up or down to where its deadline belongs. */
  #settle(entry: Entry): void {
    const heap = this.#heap;
    const { deadline } = entry.lease;
    let { at } = entry;
    const place = (other: Entry) => {
      heap[at] = other;
      other.at = at;
    };
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.lease.deadline <= deadline) break;
      place(heap[parent]!);
      at = parent;
    }
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.lease.deadline < heap[child]!.lease.deadline) child += 1;
      if (heap[child]!.lease.deadline >= deadline) break;
      place(heap[child]!);
      at = child;
    }
    place(entry);
  }
}
