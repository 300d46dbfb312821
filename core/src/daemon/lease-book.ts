import type { AddressFamily } from "../model/address.ts";
import { type Lease, type LeaseKey, leaseId } from "../model/lease.ts";
import { type Ending, LINGER, endedByUs } from "./ending.ts";

/** How many are drawn for a sample: when half of all leases are gone, one in 65,000 samples does not show it. */
const SOME = 16;

/** A lease and its place in the heap. */
interface Entry {
  lease: Lease;
  at: number;
  /** When the kernel has ended it, in whole milliseconds of the steady clock; 0 where we must. */
  ends: number;
}

/** When a lease is to leave the book. */
function due({ lease, ends }: Entry): number {
  return ends === 0 ? lease.deadline : lease.deadline + LINGER;
}

/** Leases whose time has come. */
export interface Ended {
  /** Those that the kernel has ended. */
  readonly shut: readonly Lease[];
  /** Those that we must end. */
  readonly open: readonly Lease[];
}

/**
 * What the daemon holds open, in memory. The store and the kernel follow it; where they differ from
 * it, they are wrong.
 */
export class LeaseBook {
  readonly #entries = new Map<string, Entry>();
  /** A binary heap by when they are due. Each entry knows its index, so a renewal moves it and nothing stale stays behind. */
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
      // What lies below is due no earlier.
      if (entry === undefined || due(entry) > time + LINGER) continue;
      if (entry.lease.deadline <= time && families.includes(entry.lease.address.family)) count -= 1;
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

  /** Puts leases that the kernel ends so, or else we. */
  put(leases: readonly Lease[], ending: Ending = endedByUs): void {
    for (const lease of leases) {
      const id = leaseId(lease);
      const standing = this.#entries.get(id);
      const ends = Math.ceil(ending(lease) ?? 0);
      if (standing === undefined) {
        const entry = { lease, at: this.#heap.length, ends };
        this.#entries.set(id, entry);
        this.#heap.push(entry);
        this.#settle(entry);
        this.#perFamily[lease.address.family] += 1;
      } else {
        standing.lease = lease;
        standing.ends = ends;
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

  /** When the first lease is due, in milliseconds since the epoch: on its deadline, or soon after where the kernel ends it. */
  nextDue(): number | undefined {
    const first = this.#heap[0];
    return first && due(first);
  }

  /** The leases that are due, at most `limit`, earliest first. They stay in the book. `steady` is the time of the steady clock. */
  ended(now: number, steady: number, limit: number): Ended {
    const taken: Entry[] = [];
    for (;;) {
      const first = taken.length < limit ? this.#heap[0] : undefined;
      if (first === undefined || due(first) > now) break;
      this.#takeOut(first);
      taken.push(first);
    }
    const ended = { shut: [] as Lease[], open: [] as Lease[] };
    for (const entry of taken) {
      entry.at = this.#heap.length;
      this.#heap.push(entry);
      this.#settle(entry);
      // Where the clock was set forward meanwhile, the kernel's time is not over.
      (entry.ends > 0 && entry.ends <= steady ? ended.shut : ended.open).push(entry.lease);
    }
    return ended;
  }

  #takeOut(entry: Entry): void {
    const last = this.#heap.pop();
    if (last === undefined || last === entry) return;
    last.at = entry.at;
    this.#settle(last);
  }

  /** Moves an entry up or down to where it belongs. */
  #settle(entry: Entry): void {
    const heap = this.#heap;
    const time = due(entry);
    let { at } = entry;
    const place = (other: Entry) => {
      heap[at] = other;
      other.at = at;
    };
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (due(heap[parent]!) <= time) break;
      place(heap[parent]!);
      at = parent;
    }
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && due(heap[child + 1]!) < due(heap[child]!)) child += 1;
      if (due(heap[child]!) >= time) break;
      place(heap[child]!);
      at = child;
    }
    place(entry);
  }
}
