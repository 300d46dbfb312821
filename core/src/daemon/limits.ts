import type { ServerConfig } from "../config/index.ts";
import type { Address } from "../model/address.ts";
import type { KnockRefusal } from "../model/knock.ts";
import { leaseId } from "../model/lease.ts";
import type { Port } from "../model/port.ts";
import type { LeaseBook } from "./lease-book.ts";

export type LimitRefusal = Extract<KnockRefusal, `too_many_${string}`>;

/**
 * How much may be open, in all and for one address, and how often one address may knock. Renewals are always taken:
 * a limit never shuts what is open.
 */
export class Limits {
  readonly #config: ServerConfig["limits"];
  readonly #book: LeaseBook;
  /** All protected ports where an address could have too many of them; else none, for there is nothing to count. */
  readonly #ports: readonly Port[];
  /** Knocks of this second, by address. */
  readonly #knocks = new Map<string, number>();
  #second = 0;

  constructor({ limits, protect }: Pick<ServerConfig, "limits" | "protect">, book: LeaseBook) {
    this.#config = limits;
    this.#book = book;
    const ports = (["tcp", "udp"] as const).flatMap((protocol) =>
      protect[protocol].map((number) => ({ protocol, number })),
    );
    this.#ports = ports.length > limits.leasesPerAddress ? ports : [];
  }

  /** Counts a knock at `now` (ms since the epoch); false when there were too many of this address in this second. */
  admits(address: Address, now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#knocks.clear();
    }
    const count = (this.#knocks.get(address.text) ?? 0) + 1;
    this.#knocks.set(address.text, count);
    return count <= this.#config.knocksPerSecond;
  }

  /** What may still be opened on top of the book, counted down with each `take`. One for each transaction. */
  room(): Room {
    return new Room(this.#config, this.#book, this.#ports);
  }
}

export class Room {
  readonly #config: ServerConfig["limits"];
  readonly #book: LeaseBook;
  readonly #ports: readonly Port[];
  /** What an address has and was given here. The book does not change meanwhile, so it is counted once, not for each port of a knock. */
  readonly #held = new Map<string, number>();
  #all = 0;

  constructor(config: ServerConfig["limits"], book: LeaseBook, ports: readonly Port[]) {
    this.#config = config;
    this.#book = book;
    this.#ports = ports;
  }

  /** Takes the room of one more lease for this address, or says why there is none. */
  take(address: Address): LimitRefusal | undefined {
    if (this.#book.size + this.#all >= this.#config.leases) return "too_many_leases";
    if (this.#ports.length > 0) {
      const held = this.#held.get(address.text) ?? this.#open(address);
      const fits = held < this.#config.leasesPerAddress;
      this.#held.set(address.text, fits ? held + 1 : held);
      if (!fits) return "too_many_leases_of_address";
    }
    this.#all += 1;
    return undefined;
  }

  #open(address: Address): number {
    return this.#ports.filter((port) => this.#book.get(leaseId({ address, port })) !== undefined).length;
  }
}
