import type { Firewall, FirewallAttached } from "../contracts/firewall.ts";
import type { Clock, Logger } from "../contracts/plugin.ts";
import { messageOf } from "../model/errors.ts";
import { type KernelLease, type Lease, leaseId } from "../model/lease.ts";
import { type Firewalls, applyTo, inLanes, inParts, whole } from "./firewalls.ts";
import type { LeaseBook } from "./lease-book.ts";
import type { Probation } from "../rescue/probation.ts";
import type { Named } from "../lifecycle/time-limit.ts";
import type { Expiry } from "./expiry.ts";
import type { Journal } from "./journal.ts";
import type { Serial } from "./serial.ts";
import type { Transactions } from "./transactions.ts";

/** Milliseconds between two looks at the hooks, and at least between two comparisons of every lease. */
const CHECK_EVERY = 2000;
const COMPARE_EVERY = 60_000;
/** Nobody is answered while a comparison goes on: it is at most this part of all the time, where nothing was found. */
const COMPARE_SHARE = 0.01;
/** So many leases are compared at the start without asking whether they need to be. */
const FEW = 10_000;
/**
 * Most leases that one change mends. A kernel counts their time from when it has read all of them: where it counts finely,
 * they are few enough to end on time.
 */
const PART = 10_000;
const PUNCTUAL_PART = 1_000;
/** Leases that the book takes in one turn of the event loop. */
const TURN = 5_000;
/** Milliseconds in which a kernel counts that counts finely. */
const FINE = 100;
/** Milliseconds by which the kernel may be ahead of us with a lease that is just ending. */
const SLACK = 250;
/** Milliseconds by which the time of day must go back at once to be called a step: NTP's slewing stays below. */
const CLOCK_STEP = 500;

export interface ReconcileParts {
  readonly firewalls: Firewalls;
  readonly book: LeaseBook;
  readonly journal: Journal;
  readonly expiry: Expiry;
  readonly transactions: Transactions;
  readonly serial: Serial;
  readonly probation: Probation;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Puts the packet filter right when somebody changed it underneath: looks often whether the hooks
 * stand and the count is right, and compares every lease now and then, or when something was found.
 */
export class Reconcile {
  readonly #parts: ReconcileParts;
  readonly #failing = new Set<string>();
  /** The firewalls that held nothing when their hooks were made. */
  readonly #empty = new Set<string>();
  #cancelTimer: (() => void) | undefined;
  /** When everything is compared again, by the steady clock. */
  #compareAt = 0;
  /** What the time of day was ahead of the steady clock at the last look. */
  #offset: number | undefined;
  #looking: Promise<void> | undefined;
  #stopped = false;

  constructor(parts: ReconcileParts) {
    this.#parts = parts;
  }

  /** Makes the hooks of all; a failure is the start's failure. */
  async attach(): Promise<void> {
    const attach = async (firewall: Named<Firewall>) => {
      const attached = await this.#attach(firewall);
      if (attached?.empty === true) this.#empty.add(firewall.name);
    };
    const results = await Promise.allSettled(this.#parts.firewalls.all.map(attach));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  /**
   * Takes the leases of a former run over, into the book and every kernel; a failure is the start's failure. Where many of
   * them stand there still, as far as a quick look shows, a thorough one waits for the first round, unless
   * `thorough` is set.
   */
  async begin(standing: readonly Lease[], thorough: boolean): Promise<void> {
    const { firewalls, book, clock, transactions } = this.#parts;
    this.#offset = clock.now() - clock.steady();
    await Promise.all([this.#enter(standing), this.#fill(standing)]);
    for (const firewall of firewalls.all) {
      if (this.#empty.has(firewall.name)) continue;
      if (thorough || book.size <= FEW || (await this.#check(firewall)).lost) await this.#compare(firewall);
      else transactions.suspect = true;
    }
    this.#compareAt = clock.steady() + COMPARE_EVERY;
    this.#armTimer();
  }

  /** Makes the hooks anew for as long as the guard lasts now. Rejects as `attach` does; a round then tries again. */
  async reattach(): Promise<void> {
    await this.#parts.serial.run(async () => {
      for (const firewall of this.#parts.firewalls.all) await this.#attach(firewall);
    });
  }

  /** In turns, so that kernels get their leases meanwhile. */
  async #enter(standing: readonly Lease[]): Promise<void> {
    for (const leases of inParts(standing, TURN)) {
      this.#parts.book.put(leases);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Gives every lease to those that hold none: there is nothing to compare with. */
  async #fill(standing: readonly Lease[]): Promise<void> {
    for (const firewall of this.#parts.firewalls.all) {
      const { families } = firewall.plugin.capabilities;
      const mine = standing.filter(({ address }) => families.includes(address.family));
      if (this.#empty.has(firewall.name)) await this.#openAll(firewall, mine, () => []);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await this.#looking;
  }

  #armTimer(): void {
    if (this.#stopped) return;
    this.#cancelTimer = this.#parts.clock.setTimer(CHECK_EVERY, () => {
      this.#looking = this.#lookAround().finally(() => this.#armTimer());
    });
  }

  /** On probation the kernel itself ends the guard, where it can. */
  async #attach(firewall: Named<Firewall>): Promise<FirewallAttached | void> {
    const { guardUntil } = this.#parts.probation;
    const timed = guardUntil !== undefined && firewall.plugin.capabilities.guardUntil === true;
    return await whole(firewall, "attach", () => firewall.plugin.attach(timed ? { guardUntil } : {}));
  }

  /** Looks beside the knocks where a firewall allows it: only what does not seem sound is looked at with the queue held. */
  async #lookAround(): Promise<void> {
    const sound = new Set<string>();
    for (const firewall of this.#parts.firewalls.all) {
      if ((firewall.plugin.capabilities.lanes ?? 1) > 1 && (await this.#isSound(firewall))) sound.add(firewall.name);
    }
    await this.#parts.serial.run(() => this.#round(sound));
  }

  async #isSound(firewall: Named<Firewall>): Promise<boolean> {
    try {
      const { missing, lost } = await this.#check(firewall);
      return missing.length === 0 && !lost;
    } catch {
      return false;
    }
  }

  async #round(sound: ReadonlySet<string>): Promise<void> {
    if (this.#stopped) return;
    await this.#followClock();
    const started = this.#parts.clock.steady();
    const everything = this.#parts.transactions.suspect || started >= this.#compareAt;
    this.#parts.transactions.suspect = false;
    for (const firewall of this.#parts.firewalls.all) {
      try {
        if (everything || !sound.has(firewall.name)) await this.#look(firewall, everything);
        this.#failing.delete(firewall.name);
      } catch (error) {
        this.#parts.transactions.suspect = true;
        await this.#failed(firewall.name, messageOf(error));
      }
    }
    const took = this.#parts.clock.steady() - started;
    if (everything) this.#compareAt = started + took + Math.max(COMPARE_EVERY, took / COMPARE_SHARE);
    this.#parts.log.debug({ everything, took }, "checked the packet filter");
  }

  /**
   * When the clock is set back, deadlines move back with it: by the kernel's own count they are where they were, and no lease
   * lasts longer for it. When it is set forward leases end early, which is safe.
   */
  async #followClock(): Promise<void> {
    const offset = this.#parts.clock.now() - this.#parts.clock.steady();
    const step = offset - (this.#offset ?? offset);
    this.#offset = offset;
    if (step > -CLOCK_STEP) return;
    this.#parts.log.warn(
      { seconds: Math.round(-step / 1000) },
      "the clock was set back; leases end when they would have ended",
    );
    await this.#shift(step);
  }

  /** Moves every deadline by so many milliseconds. */
  async #shift(by: number): Promise<void> {
    const { book, expiry, journal, log } = this.#parts;
    const moved = book
      .all()
      .map((lease) => ({ ...lease, openedAt: lease.openedAt + by, deadline: lease.deadline + by }));
    book.put(moved);
    expiry.arm();
    try {
      await journal.write({ put: moved });
    } catch (error) {
      log.error({ error: messageOf(error) }, "the store kept the old deadlines; a restart would take them over");
    }
  }

  async #look(firewall: Named<Firewall>, everything: boolean): Promise<void> {
    const { missing, lost } = await this.#check(firewall);
    if (missing.length > 0) await this.#attach(firewall);
    const found = [...missing, ...(missing.length > 0 || lost || everything ? await this.#compare(firewall) : [])];
    if (found.length === 0) return;
    this.#parts.log.warn({ firewall: firewall.name, found }, "the packet filter had been changed; it is put right");
    await this.#parts.journal.record({ type: "healed", time: this.#parts.clock.now(), firewall: firewall.name, found });
  }

  /** What is wrong with the hooks, and whether leases are gone. */
  async #check(firewall: Named<Firewall>): Promise<{ readonly missing: readonly string[]; readonly lost: boolean }> {
    const { book, clock } = this.#parts;
    const { families } = firewall.plugin.capabilities;
    const time = clock.now() + SLACK;
    const sample = book.some(families, time);
    const { missing, absent = [], count } = await whole(firewall, "check", () => firewall.plugin.check(sample));
    // What ended while it was looked for is not lost.
    const last = clock.now() + SLACK;
    const gone = absent.some((key) => (book.get(leaseId(key))?.deadline ?? 0) > last);
    return { missing, lost: gone || (count !== undefined && count < book.lasting(families, time)) };
  }

  async #failed(name: string, what: string): Promise<void> {
    this.#parts.log.error({ firewall: name, error: what }, "cannot check or mend the packet filter; trying again");
    if (this.#failing.has(name)) return;
    this.#failing.add(name);
    await this.#parts.journal.record({
      type: "failed",
      time: this.#parts.clock.now(),
      firewall: name,
      what: `checking the packet filter failed and is tried again: ${what}`,
    });
  }

  /** The leases that this firewall must hold now. */
  #expected({ capabilities }: Firewall): Lease[] {
    const from = this.#parts.clock.now() + SLACK;
    return this.#parts.book
      .all()
      .filter(({ address, deadline }) => deadline > from && capabilities.families.includes(address.family));
  }

  /** Compares every lease and mends what differs; says in words what did. */
  async #compare(firewall: Named<Firewall>): Promise<string[]> {
    const read = async () => (await whole(firewall, "list", () => firewall.plugin.list())).leases;
    const { resolution } = firewall.plugin.capabilities;
    const compared = (held: readonly KernelLease[]) =>
      difference(this.#expected(firewall.plugin), held, resolution, (id) => this.#parts.book.get(id));
    const first = await read();
    let differs = compared(first);
    // A kernel that just moves a large set to more room passes over elements when it is read: what is missing twice is missing.
    if (first.length > 0 && differs.missing.length > 0) differs = compared([...first, ...(await read())]);
    const { foreign, missing, off } = differs;
    await inLanes(firewall, inParts(foreign, PART), (close) => applyTo(firewall, { open: [], close, before: [] }));
    await this.#openAll(firewall, missing, () => []);
    await this.#openAll(firewall, off, (open) => open);
    return [
      ...(missing.length > 0 ? [`${missing.length} lease(s) were missing`] : []),
      ...(off.length > 0 ? [`${off.length} lease(s) had another deadline`] : []),
      ...(foreign.length > 0
        ? [`${foreign.length} opening(s) were nobody's lease: ${foreign.slice(0, 5).map(leaseId).join(", ")}`]
        : []),
    ];
  }

  /** Opens leases of the book in one firewall; `before` gives those among them that are open there, of as many as one change takes. */
  async #openAll(
    firewall: Named<Firewall>,
    leases: readonly Lease[],
    before: (open: readonly Lease[]) => readonly Lease[],
  ): Promise<void> {
    const { step = Infinity } = firewall.plugin.capabilities;
    await inLanes(firewall, inParts(leases, step < FINE ? PUNCTUAL_PART : PART), async (open) => {
      const watched = this.#parts.firewalls.watch(firewall);
      await applyTo(firewall, { open, close: [], before: before(open) });
      this.#parts.book.put(open, watched());
    });
  }
}

/** What the kernel lacks, has with another deadline, and has though it is nobody's. */
interface Difference {
  readonly missing: readonly Lease[];
  readonly off: readonly Lease[];
  readonly foreign: readonly KernelLease[];
}

/**
 * How the kernel differs from what is expected. A time left may differ by two steps of the kernel's counting, one for
 * rounding up when it was written and one for reading it.
 */
function difference(
  expected: readonly Lease[],
  kernel: readonly KernelLease[],
  resolution: number,
  known: (id: string) => Lease | undefined,
): Difference {
  const held = new Map<string, KernelLease>();
  for (const lease of kernel) held.set(leaseId(lease), lease);
  const tolerance = 2 * resolution + SLACK;
  const missing: Lease[] = [];
  const off: Lease[] = [];
  for (const lease of expected) {
    const id = leaseId(lease);
    const there = held.get(id);
    if (there === undefined) missing.push(lease);
    else if (there.deadline !== undefined && Math.abs(there.deadline - lease.deadline) > tolerance) off.push(lease);
    held.delete(id);
  }
  // A lease that is just ending is in the book, though no longer expected.
  return { missing, off, foreign: [...held].flatMap(([id, lease]) => (known(id) === undefined ? [lease] : [])) };
}
