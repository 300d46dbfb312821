import type { Clock, Logger } from "../contracts/plugin.ts";
import { messageOf } from "../model/errors.ts";
import type { WkfsEvent } from "../model/event.ts";
import { type Lease, leaseId } from "../model/lease.ts";
import { type Firewalls, inParts } from "./firewalls.ts";
import type { Journal } from "./journal.ts";
import type { LeaseBook } from "./lease-book.ts";
import type { Notifications } from "./notifications.ts";
import type { Serial } from "./serial.ts";

/** Most leases that are shut in one turn, and that are written off in one: knocks that wait are answered in between. */
const CLOSE = 1000;
const WRITE_OFF = 250;
/** Milliseconds after which a failed closing is tried again. */
const RETRY = 1000;
/** A timer of Node's holds 24.8 days at most; a lease that lasts longer is looked at again then. */
const LONGEST_WAIT = 2_000_000_000;

export interface ExpiryParts {
  readonly book: LeaseBook;
  readonly firewalls: Firewalls;
  readonly journal: Journal;
  readonly notifications: Notifications;
  readonly serial: Serial;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Ends leases on their deadline: takes them out of the packet filter, where the kernel has not done so
 * by itself, and out of the book; once every door is shut, out of the store as well. A closing that fails is tried again
 * until it succeeds.
 */
export class Expiry {
  readonly #parts: ExpiryParts;
  /** What is shut, and still in the store. */
  #shut: Extract<WkfsEvent, { readonly type: "expired" }>[] = [];
  #running = false;
  /** Whether a turn waits in the queue: one is enough. */
  #queued = false;
  #cancelTimer: (() => void) | undefined;
  #failing = false;

  constructor(parts: ExpiryParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#running = true;
    this.arm();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#cancelTimer?.();
    await this.#parts.serial.run(async () => {
      while (this.#shut.length > 0) await this.#writeOff();
    });
  }

  /** Sets the one timer to the earliest deadline; to be called when the book may have another. */
  arm(least = 0): void {
    const { book, serial, clock } = this.#parts;
    if (this.#queued) return;
    this.#cancelTimer?.();
    const next = this.#shut.length > 0 ? 0 : book.nextDue();
    if (!this.#running || next === undefined) return;
    const wait = Math.min(Math.max(least, next - clock.now()), LONGEST_WAIT);
    this.#cancelTimer = clock.setTimer(wait, () => {
      this.#queued = true;
      void serial.run(() => this.#turn());
    });
  }

  async #turn(): Promise<void> {
    const { book, clock } = this.#parts;
    this.#queued = false;
    // Those that could not be closed are the earliest, and must not stand in the way of the others.
    const { shut, open } = book.ended(clock.now(), clock.steady(), this.#failing ? Infinity : CLOSE);
    this.#drop(shut);
    if (open.length > 0) await this.#close(open);
    if (shut.length + open.length === 0 || this.#failing) await this.#writeOff();
    this.arm(this.#failing ? RETRY : 0);
  }

  async #close(open: readonly Lease[]): Promise<void> {
    const { closed, failures } = await this.#parts.firewalls.close(open);
    this.#drop(closed);
    await this.#note(open.length - closed.length, failures);
  }

  /** Takes what is shut out of the book. */
  #drop(shut: readonly Lease[]): void {
    const { book, clock, log } = this.#parts;
    if (shut.length === 0) return;
    book.remove(shut);
    for (const leases of inParts(shut, WRITE_OFF)) this.#shut.push({ type: "expired", time: clock.now(), leases });
    log.info({ leases: shut.slice(0, 20).map(leaseId), count: shut.length }, "leases ended");
  }

  /** Takes the leases of one turn that are shut out of the store, but for those that were opened anew meanwhile. */
  async #writeOff(): Promise<void> {
    const { book, journal, notifications, log } = this.#parts;
    const event = this.#shut.shift();
    if (event === undefined) return;
    const remove = event.leases.filter((lease) => book.get(leaseId(lease)) === undefined);
    const enqueue = notifications.address([event]);
    try {
      await journal.write({ remove, append: [event], enqueue });
    } catch (error) {
      log.error({ error: messageOf(error) }, "the store kept leases that have ended; the next start drops them");
    }
    notifications.deliver(enqueue);
    journal.tell(event);
  }

  /** Tells once of a closing that fails, until one succeeds. */
  async #note(
    count: number,
    failures: readonly { readonly firewall: string; readonly error: string }[],
  ): Promise<void> {
    const { journal, clock, log } = this.#parts;
    const before = this.#failing;
    this.#failing = failures.length > 0;
    for (const { firewall, error } of failures) {
      log.error({ firewall, error, leases: count }, "could not close ports on their deadline; trying again");
      if (before) continue;
      const what = `closing ${count} ended lease${count === 1 ? "" : "s"} failed and is tried again: ${error}`;
      await journal.record({ type: "failed", time: clock.now(), firewall, what });
    }
  }
}
