import { describe, expect, it } from "vitest";
import { parseAddress } from "../model/address.ts";
import type { Lease } from "../model/lease.ts";
import { LeaseBook } from "./lease-book.ts";
import { Limits } from "./limits.ts";

const HERE = parseAddress("192.0.2.1");
const PORTS = Array.from({ length: 1024 }, (_, index) => index + 1);
const lease = (number: number): Lease => ({
  address: HERE,
  port: { protocol: "tcp", number },
  client: "default",
  openedAt: 0,
  deadline: 60_000,
});

/** A book that counts how often it is asked. */
class CountingBook extends LeaseBook {
  asked = 0;
  override get(id: string): Lease | undefined {
    this.asked += 1;
    return super.get(id);
  }
}

describe("the room of an address", () => {
  it("is what the book and this transaction leave, and another address has its own", () => {
    const book = new LeaseBook();
    book.put([lease(1), lease(2)]);
    const limits = { leases: 100, leasesPerAddress: 4, knocksPerSecond: 20 };
    const room = new Limits({ limits, protect: { tcp: PORTS, udp: [], maxTime: 60 } }, book).room();
    expect(Array.from({ length: 4 }, () => room.take(HERE))).toEqual([
      undefined,
      undefined,
      "too_many_leases_of_address",
      "too_many_leases_of_address",
    ]);
    expect(room.take(parseAddress("2001:db8::1"))).toBeUndefined();
  });

  it("is counted once a transaction: a knock for all ports looks at each of them once, not a thousand times", () => {
    const book = new CountingBook();
    const limits = { leases: 100_000, leasesPerAddress: 256, knocksPerSecond: 20 };
    const room = new Limits({ limits, protect: { tcp: PORTS, udp: PORTS, maxTime: 60 } }, book).room();
    const given = PORTS.map(() => room.take(HERE));
    expect(given.filter((refusal) => refusal === undefined)).toHaveLength(256);
    expect(book.asked).toBe(2 * PORTS.length);
  });
});
