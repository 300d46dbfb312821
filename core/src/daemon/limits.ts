import type { ServerConfig } from "../config/index.ts";
import type { Address } from "../model/address.ts";
import type { KnockRefusal } from "../model/knock.ts";
import type { LeaseBook } from "./lease-book.ts";

export type LimitRefusal = Extract<KnockRefusal, `too_many_${string}`>;

/**
 * How much may be open, in all and for one address, and how often one address may knock. Renewals are always taken:
 * a limit never shuts what is open.
 */
export class Limits {
  readonly #config: ServerConfig["limits"];
  readonly #book: LeaseBook;
  /** Knocks of this second, by address. */
  readonly #knocks = new Map<string, number>();
  #second = 0;

  constructor(config: Pick<ServerConfig, "limits">, book: LeaseBook) {
    this.#config = config.limits;
    this.#book = book;
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
    return new Room(this.#config, this.#book);
  }
}

export class Room {
  readonly #config: ServerConfig["limits"];
  readonly #book: LeaseBook;
  readonly #taken = new Map<string, number>();
  #all = 0;

  constructor(config: ServerConfig["limits"], book: LeaseBook) {
    this.#config = config;
    this.#book = book;
  }

  /** Takes the room of one more lease for this address, or says why there is none. */
  take({ text }: Address): LimitRefusal | undefined {
    if (this.#book.size + this.#all >= this.#config.leases) return "too_many_leases";
    const taken = this.#taken.get(text) ?? 0;
    if (this.#book.sizeOf(text) + taken >= this.#config.leasesPerAddress) return "too_many_leases_of_address";
    this.#all += 1;
    this.#taken.set(text, taken + 1);
    return undefined;
  }
}
