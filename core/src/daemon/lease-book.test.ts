import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress } from "../model/address.ts";
import { type Lease, leaseId } from "../model/lease.ts";
import { LINGER } from "./ending.ts";
import { LeaseBook } from "./lease-book.ts";

const lease = (host: number, deadline: number): Lease => ({
  address: parseAddress(`10.0.0.${host}`),
  port: { protocol: "tcp", number: 22 },
  client: "a",
  openedAt: 0,
  deadline,
});

describe("the lease book", () => {
  it("knows what is due first, on its deadline or once the kernel has ended it, whatever is put, renewed and removed: a sorted list says the same", () => {
    const step = fc.oneof(
      fc.record({
        put: fc.integer({ min: 1, max: 20 }),
        deadline: fc.integer({ min: 1, max: 500 }),
        kernel: fc.boolean(),
      }),
      fc.record({ remove: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ now: fc.integer({ min: 1, max: 500 }), limit: fc.integer({ min: 1, max: 5 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const book = new LeaseBook();
        const plain = new Map<string, { readonly deadline: number; readonly kernel: boolean; readonly due: number }>();
        for (const one of steps) {
          if ("put" in one) {
            const { deadline, kernel } = one;
            const put = lease(one.put, deadline);
            book.put([put], ({ deadline: end }) => (kernel ? end : undefined));
            plain.set(leaseId(put), { deadline, kernel, due: kernel ? deadline + LINGER : deadline });
          } else if ("remove" in one) {
            book.remove([lease(one.remove, 0)]);
            plain.delete(leaseId(lease(one.remove, 0)));
          } else {
            const { shut, open } = book.ended(one.now, one.now, one.limit);
            const expected = [...plain.values()].filter(({ due }) => due <= one.now).map(({ due }) => due);
            const found = [...shut.map(({ deadline }) => deadline + LINGER), ...open.map(({ deadline }) => deadline)];
            expect(found.toSorted((a, b) => a - b)).toEqual(expected.toSorted((a, b) => a - b).slice(0, one.limit));
            expect(shut.every((each) => plain.get(leaseId(each))?.kernel)).toBe(true);
            expect(open.some((each) => plain.get(leaseId(each))?.kernel)).toBe(false);
            // By the steady clock the kernel's time is not over.
            expect(book.ended(one.now, 0, 1).shut).toEqual([]);
          }
          const dues = [...plain.values()].map(({ due }) => due);
          expect(book.nextDue()).toBe(dues.length === 0 ? undefined : Math.min(...dues));
          const deadlines = [...plain.values()].map(({ deadline }) => deadline);
          expect(book.size).toBe(plain.size);
          expect(book.lasting(["ipv4"], 250)).toBe(deadlines.filter((deadline) => deadline > 250).length);
          expect(book.lasting(["ipv6"], 250)).toBe(0);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
