import type { FirewallChange } from "../contracts/firewall.ts";
import type { Clock, Logger } from "../contracts/plugin.ts";
import type { PendingNotification } from "../contracts/store.ts";
import type { RefusalLog } from "../lifecycle/refusal-log.ts";
import { isWkfsError, messageOf } from "../model/errors.ts";
import type { WkfsEvent } from "../model/event.ts";
import type { Knock, KnockOutcome, KnockRefusal } from "../model/knock.ts";
import { type Lease, leaseId } from "../model/lease.ts";
import type { Expiry } from "./expiry.ts";
import type { Firewalls } from "./firewalls.ts";
import type { Journal } from "./journal.ts";
import type { LeaseBook } from "./lease-book.ts";
import type { Limits } from "./limits.ts";
import type { Notifications } from "./notifications.ts";
import type { Decision, Policy } from "./policy.ts";
import type { Serial } from "./serial.ts";

/** Most knocks that one transaction takes, so that none keeps the others waiting for long. */
const BATCH = 1000;
/** Milliseconds that the history may wait to be written along with something else: each write is a sync of the disk. */
const HISTORY_WAIT = 50;
/** Most tries to find the knocks of a transaction that the kernel does take, once it refused the whole. */
const MOST_TRIES = 64;

interface Waiting {
  readonly knock: Knock;
  readonly answer: (outcome: KnockOutcome) => void;
}

/** A knock with what it would change, or why it changes nothing. */
interface Decided {
  readonly waiting: Waiting;
  readonly client: string | undefined;
  readonly outcome: Decision | { readonly refusal: KnockRefusal };
}

type Refusal = Extract<KnockRefusal, "store_failed" | "firewall_failed" | "firewall_full">;

export interface TransactionParts {
  readonly book: LeaseBook;
  readonly policy: Policy;
  readonly limits: Limits;
  readonly firewalls: Firewalls;
  readonly journal: Journal;
  readonly notifications: Notifications;
  readonly expiry: Expiry;
  readonly serial: Serial;
  readonly refusals: RefusalLog;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Decides on knocks. Those that arrive while a transaction is under way are gathered into the next one, which is
 * one write of the store and one of the kernel for all of them; at idle a knock waits for nobody.
 *
 * The order of an opening: durable, then kernel, then the answer, then the history. So a crash in between leaves
 * a lease that the restart takes over or ends, and never an open port that nobody remembers; the history may lack the
 * last few lines, and the lease says who has it.
 */
export class Transactions {
  readonly #parts: TransactionParts;
  readonly #waiting: Waiting[] = [];
  #gathering = false;
  #accepting = false;
  #cancelHistory: (() => void) | undefined;
  /** Set when the kernel may differ from the book: the next check then compares everything. */
  suspect = false;

  constructor(parts: TransactionParts) {
    this.#parts = parts;
  }

  /** From here on knocks are answered. */
  open(): void {
    this.#accepting = true;
  }

  /** No further knock is taken; resolves when those under way are answered. */
  async close(): Promise<void> {
    this.#accepting = false;
    await this.#parts.serial.run(async () => {
      this.#cancelHistory?.();
      await this.#parts.journal.flush();
    });
  }

  /** Answers a knock; never rejects. */
  grant(knock: Knock): Promise<KnockOutcome> {
    const { limits, refusals, clock } = this.#parts;
    if (!this.#accepting) return Promise.resolve({ refusal: "stopping" });
    if (!limits.admits(knock.address, clock.now())) {
      // Not worth a line of the history each: they may come by the thousand.
      refusals.note("too_many_knocks", () => knock.address.text);
      return Promise.resolve({ refusal: "too_many_knocks" });
    }
    return new Promise((answer) => {
      this.#waiting.push({ knock, answer });
      this.#gather();
    });
  }

  /** Sees to it that there is one transaction to come for those that wait. */
  #gather(): void {
    if (this.#gathering || this.#waiting.length === 0) return;
    this.#gathering = true;
    void this.#parts.serial.run(async () => {
      this.#gathering = false;
      const batch = this.#waiting.splice(0, BATCH);
      this.#gather();
      try {
        await this.#transact(batch, { left: MOST_TRIES });
      } catch (error) {
        this.#parts.log.error({ error: messageOf(error) }, "a transaction failed in an unforeseen way");
        for (const { answer } of batch) answer({ refusal: "firewall_failed" });
      }
      this.#parts.expiry.arm();
      this.#writeHistorySoon();
    });
  }

  /** No answer waits for the history: the next transaction takes it along, or it is written when none has come for a while. */
  #writeHistorySoon(): void {
    const { journal, serial, clock } = this.#parts;
    this.#cancelHistory ??= clock.setTimer(HISTORY_WAIT, () => {
      this.#cancelHistory = undefined;
      void serial.run(() => journal.flush());
    });
  }

  /**
   * One transaction for these knocks. Where the kernel refuses it, one of them may be what it does not take, which must
   * not cost the others theirs: then each half has its own.
   */
  async #transact(batch: readonly Waiting[], tries: { left: number }): Promise<void> {
    const { notifications, journal, clock } = this.#parts;
    const { decided, open } = this.#decide(batch);
    const time = clock.now();
    const events = decided.flatMap((one) => eventsOf(one, time));
    const enqueue = notifications.address(events);
    const refusal = tries.left > 0 ? await this.#commit(open, enqueue, tries) : "firewall_failed";
    if (refusal !== undefined && batch.length > 1 && tries.left > 0) {
      const half = batch.length >> 1;
      await this.#transact(batch.slice(0, half), tries);
      await this.#transact(batch.slice(half), tries);
      return;
    }
    for (const one of decided) this.#answer(one, refusal);
    if (refusal === undefined) {
      notifications.deliver(enqueue);
      journal.remember(events);
    }
  }

  #decide(batch: readonly Waiting[]): { readonly decided: readonly Decided[]; readonly open: readonly Lease[] } {
    const { book, policy, limits, clock } = this.#parts;
    const now = clock.now();
    const room = limits.room();
    const draft = new Map<string, Lease>();
    const current = (id: string) => draft.get(id) ?? book.get(id);
    const decided = batch.map((waiting): Decided => {
      const { knock } = waiting;
      const client = policy.clientOf(knock);
      if (client === undefined) return { waiting, client: knock.client, outcome: { refusal: "unknown_client" } };
      const outcome = policy.decide({ knock, client, now, current, room });
      if (!("refusal" in outcome)) {
        for (const lease of outcome.opened) draft.set(leaseId(lease), lease);
        for (const lease of outcome.renewed) draft.set(leaseId(lease), lease);
      }
      return { waiting, client, outcome };
    });
    return { decided, open: [...draft.values()] };
  }

  /** Durable, then kernel. Gives the reason when nothing was opened. */
  async #commit(
    open: readonly Lease[],
    enqueue: readonly PendingNotification[],
    tries: { left: number },
  ): Promise<Refusal | undefined> {
    const { book, firewalls, journal, log } = this.#parts;
    if (open.length === 0) {
      await this.#keep(enqueue);
      return undefined;
    }
    const change = { open, close: [], before: open.flatMap((lease) => book.get(leaseId(lease)) ?? []) };
    try {
      await journal.write({ put: open, enqueue });
    } catch (error) {
      log.error({ error: messageOf(error) }, "the store refused a write; nothing was opened");
      tries.left = 0;
      return "store_failed";
    }
    let ending;
    try {
      ending = await firewalls.apply(change);
    } catch (error) {
      log.error({ error: messageOf(error) }, "the packet filter refused a change; nothing was opened");
      // It may hold half of it, where a back end could not undo what it had begun.
      this.suspect = true;
      // A packet filter that does not answer is not asked again for each half.
      tries.left = isWkfsError(error, "PLUGIN_TIMEOUT") ? 0 : tries.left - 1;
      await this.#forget(change, enqueue);
      return isWkfsError(error, "FIREWALL_FULL") ? "firewall_full" : "firewall_failed";
    }
    book.put(open, ending);
    return undefined;
  }

  /** Makes durable what is to be told of knocks that opened nothing; they are refused all the same when the store refuses. */
  async #keep(enqueue: readonly PendingNotification[]): Promise<void> {
    if (enqueue.length === 0) return;
    try {
      await this.#parts.journal.write({ enqueue });
    } catch (error) {
      this.#parts.log.error({ error: messageOf(error) }, "the store refused an event; it is told without being kept");
    }
  }

  /** Takes back what was made durable for a change that the kernel refused. */
  async #forget({ open, before }: FirewallChange, enqueued: readonly PendingNotification[]): Promise<void> {
    try {
      await this.#parts.journal.write({ remove: open, put: before, dequeue: enqueued.map(({ id }) => id) });
    } catch (error) {
      this.#parts.log.error(
        { error: messageOf(error) },
        "the store kept leases that were not opened; a restart would open them",
      );
    }
  }

  #answer({ waiting, client, outcome }: Decided, refusal: Refusal | undefined): void {
    const { log, refusals } = this.#parts;
    const { knock, answer } = waiting;
    const given = "refusal" in outcome || refusal === undefined ? outcome : { refusal };
    const reason = "refusal" in given ? given.refusal : given.because;
    const limited = reason?.startsWith("too_many_") === true;
    if (limited) refusals.note(reason, () => knock.address.text);
    if (!limited || !("refusal" in given)) {
      const data = { address: knock.address.text, client, ...summary(given) };
      log.info(data, "refusal" in given ? "knock refused" : "knock granted");
    }
    answer(given);
  }
}

function eventsOf({ waiting, client, outcome }: Decided, time: number): WkfsEvent[] {
  if ("refusal" in outcome) {
    const { address, ports } = waiting.knock;
    return [{ type: "refused", time, client, address, ports, reason: outcome.refusal }];
  }
  const events: WkfsEvent[] = [];
  if (outcome.opened.length > 0) events.push({ type: "opened", time, leases: outcome.opened });
  if (outcome.renewed.length > 0) events.push({ type: "renewed", time, leases: outcome.renewed });
  return events;
}

function summary(outcome: KnockOutcome): object {
  return "refusal" in outcome
    ? { reason: outcome.refusal }
    : { opened: outcome.opened.map(leaseId), renewed: outcome.renewed.map(leaseId), refused: outcome.refused.length };
}
