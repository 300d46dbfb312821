import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress } from "../model/address.ts";
import { type Lease, leaseId } from "../model/lease.ts";
import { LeaseBook } from "./lease-book.ts";

const lease = (host: number, deadline: number): Lease => ({
  address: parseAddress(`10.0.0.${host}`),
  port: { protocol: "tcp", number: 22 },
  client: "a",
  openedAt: 0,
  deadline,
});

describe("the lease book", () => {
  it("knows the earliest deadline whatever is put, renewed and removed: a sorted list says the same", () => {
    const step = fc.oneof(
      fc.record({ put: fc.integer({ min: 1, max: 20 }), deadline: fc.integer({ min: 1, max: 50 }) }),
      fc.record({ remove: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ now: fc.integer({ min: 1, max: 50 }), limit: fc.integer({ min: 1, max: 5 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const book = new LeaseBook();
        const plain = new Map<string, Lease>();
        for (const one of steps) {
          if ("put" in one) {
            const put = lease(one.put, one.deadline);
            book.put([put]);
            plain.set(leaseId(put), put);
          } else if ("remove" in one) {
            book.remove([lease(one.remove, 0)]);
            plain.delete(leaseId(lease(one.remove, 0)));
          } else {
            const ended = book.ended(one.now, one.limit).map(({ deadline }) => deadline);
            const expected = [...plain.values()]
              .map(({ deadline }) => deadline)
              .filter((deadline) => deadline <= one.now);
            expect(ended).toEqual(expected.toSorted((a, b) => a - b).slice(0, one.limit));
          }
          const deadlines = [...plain.values()].map(({ deadline }) => deadline);
          expect(book.nextDeadline()).toBe(deadlines.length === 0 ? undefined : Math.min(...deadlines));
          expect(book.size).toBe(plain.size);
          expect(book.lasting(["ipv4"], 25)).toBe(deadlines.filter((deadline) => deadline > 25).length);
          expect(book.lasting(["ipv6"], 25)).toBe(0);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
