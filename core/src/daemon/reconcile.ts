import type { Firewall, FirewallChange } from "../contracts/firewall.ts";
import type { Clock, Logger } from "../contracts/plugin.ts";
import { messageOf } from "../model/errors.ts";
import { type KernelLease, type Lease, leaseId } from "../model/lease.ts";
import { type Firewalls, applyTo, whole } from "./firewalls.ts";
import type { LeaseBook } from "./lease-book.ts";
import type { Named } from "../lifecycle/time-limit.ts";
import type { Transactions } from "./transactions.ts";

/** Milliseconds between two looks at the hooks, and between two comparisons of every lease. */
const CHECK_EVERY = 2000;
const COMPARE_EVERY = 60_000;
/** Milliseconds by which the kernel may be ahead of us with a lease that is just ending. */
const SLACK = 250;
/** Milliseconds by which the time of day must go back at once to be called a step: NTP's slewing stays below. */
const CLOCK_STEP = 500;

/**
 * Puts the packet filter right when somebody changed it underneath: looks often whether the hooks
 * stand and the count is right, and compares every lease now and then, or when something was found.
 */
export class Reconcile {
  readonly #firewalls: Firewalls;
  readonly #book: LeaseBook;
  readonly #transactions: Transactions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #failing = new Set<string>();
  #cancelTimer: (() => void) | undefined;
  #comparedAt = 0;
  /** What the time of day was ahead of the steady clock at the last look. */
  #offset: number | undefined;
  #stopped = false;

  constructor(firewalls: Firewalls, book: LeaseBook, transactions: Transactions, clock: Clock, log: Logger) {
    this.#firewalls = firewalls;
    this.#book = book;
    this.#transactions = transactions;
    this.#clock = clock;
    this.#log = log;
  }

  /** Makes the hooks and brings every kernel to what the book says; a failure is the start's failure. */
  async begin(): Promise<void> {
    this.#offset = this.#clock.now() - this.#clock.steady();
    for (const firewall of this.#firewalls.all) {
      await whole(firewall, "attach", firewall.plugin.attach());
      await this.#compare(firewall);
    }
    this.#comparedAt = this.#clock.now();
    this.#armTimer();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
  }

  #armTimer(): void {
    if (this.#stopped) return;
    this.#cancelTimer = this.#clock.setTimer(CHECK_EVERY, () => {
      void this.#transactions.exclusive(() => this.#round()).finally(() => this.#armTimer());
    });
  }

  async #round(): Promise<void> {
    if (this.#stopped) return;
    await this.#followClock();
    const everything = this.#transactions.suspect || this.#clock.now() - this.#comparedAt >= COMPARE_EVERY;
    if (everything) this.#comparedAt = this.#clock.now();
    this.#transactions.suspect = false;
    for (const firewall of this.#firewalls.all) {
      try {
        await this.#look(firewall, everything);
        this.#failing.delete(firewall.name);
      } catch (error) {
        this.#transactions.suspect = true;
        await this.#failed(firewall.name, messageOf(error));
      }
    }
    this.#log.debug({ everything }, "checked the packet filter");
  }

  /**
   * When the clock is set back, deadlines move back with it: by the kernel's own count they are where they were, and no lease
   * lasts longer for it. When it is set forward leases end early, which is safe.
   */
  async #followClock(): Promise<void> {
    const offset = this.#clock.now() - this.#clock.steady();
    const step = offset - (this.#offset ?? offset);
    this.#offset = offset;
    if (step > -CLOCK_STEP) return;
    this.#log.warn(
      { seconds: Math.round(-step / 1000) },
      "the clock was set back; leases end when they would have ended",
    );
    await this.#transactions.shift(step);
  }

  async #look(firewall: Named<Firewall>, everything: boolean): Promise<void> {
    const { missing, count } = await whole(firewall, "check", firewall.plugin.check());
    if (missing.length > 0) await whole(firewall, "attach", firewall.plugin.attach());
    const short = count !== undefined && count < this.#expected(firewall.plugin).length;
    const found = [...missing, ...(missing.length > 0 || short || everything ? await this.#compare(firewall) : [])];
    if (found.length === 0) return;
    this.#log.warn({ firewall: firewall.name, found }, "the packet filter had been changed; it is put right");
    await this.#transactions.record({ type: "healed", time: this.#clock.now(), firewall: firewall.name, found });
  }

  async #failed(name: string, what: string): Promise<void> {
    this.#log.error({ firewall: name, error: what }, "cannot check or mend the packet filter; trying again");
    if (this.#failing.has(name)) return;
    this.#failing.add(name);
    await this.#transactions.record({
      type: "failed",
      time: this.#clock.now(),
      firewall: name,
      what: `checking the packet filter failed and is tried again: ${what}`,
    });
  }

  /** The leases that this firewall must hold now. */
  #expected({ capabilities }: Firewall): Lease[] {
    const from = this.#clock.now() + SLACK;
    return this.#book
      .all()
      .filter(({ address, deadline }) => deadline > from && capabilities.families.includes(address.family));
  }

  /** Compares every lease and mends what differs; says in words what did. */
  async #compare(firewall: Named<Firewall>): Promise<string[]> {
    const { leases } = await whole(firewall, "list", firewall.plugin.list());
    const { change, found } = difference(
      this.#expected(firewall.plugin),
      leases,
      firewall.plugin.capabilities.resolution,
      (id) => this.#book.get(id),
    );
    if (change.open.length + change.close.length > 0) await applyTo(firewall, change);
    return found;
  }
}

/**
 * What must change so that the kernel holds `expected` and nothing else. A time left may differ by two
 * steps of the kernel's counting, one for rounding up when it was written and one for reading it.
 */
function difference(
  expected: readonly Lease[],
  kernel: readonly KernelLease[],
  resolution: number,
  known: (id: string) => Lease | undefined,
): { readonly change: FirewallChange; readonly found: string[] } {
  const held = new Map(kernel.map((lease) => [leaseId(lease), lease]));
  const tolerance = 2 * resolution + SLACK;
  const missing = expected.filter((lease) => !held.has(leaseId(lease)));
  const off = expected.filter((lease) => {
    const deadline = held.get(leaseId(lease))?.deadline;
    return deadline !== undefined && Math.abs(deadline - lease.deadline) > tolerance;
  });
  // A lease that is just ending is in the book, though no longer expected.
  const foreign = kernel.filter((lease) => known(leaseId(lease)) === undefined);
  const found = [
    ...(missing.length > 0 ? [`${missing.length} lease(s) were missing`] : []),
    ...(off.length > 0 ? [`${off.length} lease(s) had another deadline`] : []),
    ...(foreign.length > 0
      ? [`${foreign.length} opening(s) were nobody's lease: ${foreign.slice(0, 5).map(leaseId).join(", ")}`]
      : []),
  ];
  return { change: { open: [...missing, ...off], close: foreign, before: off }, found };
}
