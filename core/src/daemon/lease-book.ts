import { type Lease, type LeaseKey, leaseId } from "../model/lease.ts";

/**
 * What the daemon holds open, in memory. The store and the kernel follow it; where they differ from
 * it, they are wrong.
 */
export class LeaseBook {
  readonly #leases = new Map<string, Lease>();
  /** A binary heap of deadlines. A lease that was renewed or removed leaves its old entry behind. */
  readonly #deadlines: { readonly at: number; readonly id: string }[] = [];

  get size(): number {
    return this.#leases.size;
  }

  get(id: string): Lease | undefined {
    return this.#leases.get(id);
  }

  all(): readonly Lease[] {
    return [...this.#leases.values()];
  }

  put(leases: readonly Lease[]): void {
    for (const lease of leases) {
      const id = leaseId(lease);
      this.#leases.set(id, lease);
      this.#push({ at: lease.deadline, id });
    }
  }

  remove(keys: readonly LeaseKey[]): void {
    for (const key of keys) this.#leases.delete(leaseId(key));
  }

  /** The earliest deadline, in milliseconds since the epoch. */
  nextDeadline(): number | undefined {
    for (;;) {
      const first = this.#deadlines[0];
      if (first === undefined || this.#leases.get(first.id)?.deadline === first.at) return first?.at;
      this.#pop();
    }
  }

  /** The leases whose deadline has come, at most `limit`, earliest first. They stay in the book. */
  ended(now: number, limit: number): Lease[] {
    const ended: Lease[] = [];
    const taken: { at: number; id: string }[] = [];
    for (;;) {
      const at = ended.length < limit ? this.nextDeadline() : undefined;
      if (at === undefined || at > now) break;
      const entry = this.#pop()!;
      taken.push(entry);
      ended.push(this.#leases.get(entry.id)!);
    }
    for (const entry of taken) this.#push(entry);
    return ended;
  }

  #push(entry: { at: number; id: string }): void {
    const heap = this.#deadlines;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.at <= entry.at) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): { at: number; id: string } | undefined {
    const heap = this.#deadlines;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child += 1;
      if (heap[child]!.at >= last.at) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}
