import type { FirewallChange } from "../contracts/firewall.ts";
import type { Clock, Logger } from "../contracts/plugin.ts";
import type { PendingNotification, Store } from "../contracts/store.ts";
import { messageOf } from "../model/errors.ts";
import type { WkfsEvent } from "../model/event.ts";
import type { Knock, KnockOutcome } from "../model/knock.ts";
import { type Lease, leaseId } from "../model/lease.ts";
import type { Firewalls } from "./firewalls.ts";
import type { LeaseBook } from "./lease-book.ts";
import type { Notifications } from "./notifications.ts";
import type { Decision, Policy } from "./policy.ts";
import { withTimeLimit } from "../lifecycle/time-limit.ts";

/** Most knocks and most ended leases that one transaction takes, so that none keeps the others waiting. */
const BATCH = 1000;
/** Milliseconds that one write of the store may take. */
const WRITE_LIMIT = 10_000;
/** Milliseconds after which a failed closing is tried again. */
const RETRY = 1000;

interface Waiting {
  readonly knock: Knock;
  readonly answer: (outcome: KnockOutcome) => void;
}

export interface TransactionParts {
  readonly book: LeaseBook;
  readonly policy: Policy;
  readonly store: Store;
  readonly firewalls: Firewalls;
  readonly notifications: Notifications;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The one door to the lease book: what changes leases, or must not see them change, goes through here one
 * after the other. Knocks that arrive while a transaction is under way are gathered into the next one.
 *
 * The order of an opening: durable, then kernel, then the answer. The order of a closing: kernel, then
 * durable. So a crash in between leaves a lease that the restart takes over or ends, and never an open
 * port that nobody remembers.
 */
export class Transactions {
  readonly #parts: TransactionParts;
  readonly #waiting: Waiting[] = [];
  #tail: Promise<void> = Promise.resolve();
  #gathering = false;
  #accepting = false;
  #cancelTimer: (() => void) | undefined;
  #closingFailed = false;
  /** Set when the kernel may differ from the book: the next check then compares everything. */
  suspect = false;

  constructor(parts: TransactionParts) {
    this.#parts = parts;
  }

  /** From here on knocks are answered and leases end. */
  open(): void {
    this.#accepting = true;
    this.#armTimer();
  }

  /** No further knock is taken; resolves when those under way are answered. */
  async close(): Promise<void> {
    this.#accepting = false;
    this.#cancelTimer?.();
    await this.exclusive(async () => {});
  }

  /** Answers a knock; never rejects. */
  grant(knock: Knock): Promise<KnockOutcome> {
    if (!this.#accepting) return Promise.resolve({ refusal: "stopping" });
    return new Promise((answer) => {
      this.#waiting.push({ knock, answer });
      if (this.#gathering) return;
      this.#gathering = true;
      void this.exclusive(() => this.#grantWaiting());
    });
  }

  /** Runs something while nothing changes leases. */
  exclusive<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#tail.then(work);
    this.#tail = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  async #grantWaiting(): Promise<void> {
    const batch = this.#waiting.splice(0, BATCH);
    // What comes from here on belongs to the next transaction.
    this.#gathering = this.#waiting.length > 0;
    if (this.#gathering) void this.exclusive(() => this.#grantWaiting());
    try {
      if (await this.#grantTogether(batch)) return;
      // One of them may be what the kernel does not take; it must not cost the others theirs.
      for (const one of batch) await this.#grantTogether([one]);
    } catch (error) {
      this.#parts.log.error({ error: messageOf(error) }, "a transaction failed in an unforeseen way");
      for (const { answer } of batch) answer({ refusal: "firewall_failed" });
    }
  }

  /** One transaction for these knocks. False when it failed and each is worth a try of its own. */
  async #grantTogether(batch: readonly Waiting[]): Promise<boolean> {
    const { book, policy, clock, log } = this.#parts;
    const now = clock.now();
    const draft = new Map<string, Lease>();
    const events: WkfsEvent[] = [];
    const answers: {
      readonly waiting: Waiting;
      readonly client: string | undefined;
      readonly outcome: KnockOutcome;
    }[] = [];
    for (const waiting of batch) {
      const { knock } = waiting;
      const client = policy.clientOf(knock);
      const decision =
        client === undefined ? undefined : policy.decide(knock, client, now, (id) => draft.get(id) ?? book.get(id));
      for (const lease of [...(decision?.opened ?? []), ...(decision?.renewed ?? [])]) draft.set(leaseId(lease), lease);
      events.push(...eventsOf(knock, client, decision, now));
      answers.push({ waiting, client: client ?? knock.client, outcome: outcomeOf(decision) });
    }

    const refusal = await this.#commit([...draft.values()], events);
    if (refusal !== undefined && batch.length > 1) return false;
    for (const { waiting, client, outcome } of answers) {
      const { knock, answer } = waiting;
      const given = "refusal" in outcome || refusal === undefined ? outcome : { refusal };
      log.info(
        { address: knock.address.text, client, ...summary(given) },
        "refusal" in given ? "knock refused" : "knock granted",
      );
      answer(given);
    }
    this.#armTimer();
    return true;
  }

  /** Durable, then kernel. Gives the reason when nothing was opened. */
  async #commit(
    open: readonly Lease[],
    events: readonly WkfsEvent[],
  ): Promise<"store_failed" | "firewall_failed" | undefined> {
    const { book, firewalls, notifications, log } = this.#parts;
    const before = open.flatMap((lease) => book.get(leaseId(lease)) ?? []);
    const change: FirewallChange = { open, close: [], before };
    const enqueue = notifications.address(events);
    if (open.length > 0) {
      try {
        await this.#write({ put: open, enqueue });
      } catch (error) {
        log.error({ error: messageOf(error) }, "the store refused a write; nothing was opened");
        return "store_failed";
      }
      try {
        await firewalls.apply(change);
      } catch (error) {
        log.error({ error: messageOf(error) }, "the packet filter refused a change; nothing was opened");
        // It may hold half of it, where a back end could not undo what it had begun.
        this.suspect = true;
        await this.#forget(change, enqueue);
        return "firewall_failed";
      }
      book.put(open);
      notifications.deliver(enqueue);
    }
    await this.#remember(events);
    return undefined;
  }

  /** Takes back what was made durable for a change that the kernel refused. */
  async #forget({ open, before }: FirewallChange, enqueued: readonly PendingNotification[]): Promise<void> {
    try {
      await this.#write({ remove: open, put: before, dequeue: enqueued.map(({ id }) => id) });
    } catch (error) {
      this.#parts.log.error(
        { error: messageOf(error) },
        "the store kept leases that were not opened; a restart would open them",
      );
    }
  }

  /** Appends to the history. Its failure changes nothing about ports that are open or shut. */
  async #remember(events: readonly WkfsEvent[]): Promise<void> {
    if (events.length === 0) return;
    try {
      await this.#write({ append: events });
    } catch (error) {
      this.#parts.log.error({ error: messageOf(error) }, "the store refused to add to the history");
    }
  }

  /** Moves every deadline by so many milliseconds. To be called while nothing else changes leases. */
  async shift(by: number): Promise<void> {
    const { book, log } = this.#parts;
    const moved = book
      .all()
      .map((lease) => ({ ...lease, openedAt: lease.openedAt + by, deadline: lease.deadline + by }));
    book.put(moved);
    this.#armTimer();
    try {
      await this.#write({ put: moved });
    } catch (error) {
      log.error({ error: messageOf(error) }, "the store kept the old deadlines; a restart would take them over");
    }
  }

  /** Writes down what happened outside a knock, and tells those who are to be told. */
  async record(event: WkfsEvent): Promise<void> {
    const { notifications, log } = this.#parts;
    const enqueue = notifications.address([event]);
    try {
      await this.#write({ append: [event], enqueue });
    } catch (error) {
      log.error(
        { error: messageOf(error), event: event.type },
        "the store refused an event; it is told without being kept",
      );
    }
    notifications.deliver(enqueue);
  }

  #write(change: Parameters<Store["write"]>[0]): Promise<void> {
    return withTimeLimit(this.#parts.store.write(change), WRITE_LIMIT, "store: write");
  }

  /** One timer for the earliest deadline. */
  #armTimer(delay?: number): void {
    const { book, clock } = this.#parts;
    this.#cancelTimer?.();
    const next = book.nextDeadline();
    if (!this.#accepting || next === undefined) return;
    // A timer holds 24.8 days at most; a lease that lasts longer is looked at again then.
    const wait = Math.min(delay ?? Math.max(0, next - clock.now()), 2_000_000_000);
    this.#cancelTimer = clock.setTimer(wait, () => void this.exclusive(() => this.#expire()));
  }

  async #expire(): Promise<void> {
    const { book, firewalls, clock, log } = this.#parts;
    const ended = book.ended(clock.now(), BATCH);
    if (ended.length > 0) {
      try {
        await firewalls.apply({ open: [], close: ended, before: ended });
      } catch (error) {
        log.error(
          { error: messageOf(error), leases: ended.length },
          "could not close ports on their deadline; trying again",
        );
        if (!this.#closingFailed) {
          this.#closingFailed = true;
          const what = `closing ${ended.length} ended lease${ended.length === 1 ? "" : "s"} failed and is tried again: ${messageOf(error)}`;
          await this.record({ type: "failed", time: clock.now(), firewall: "all", what });
        }
        this.#armTimer(RETRY);
        return;
      }
      this.#closingFailed = false;
      book.remove(ended);
      const event: WkfsEvent = { type: "expired", time: clock.now(), leases: ended };
      try {
        await this.#write({ remove: ended, append: [event] });
      } catch (error) {
        log.error({ error: messageOf(error) }, "the store kept leases that have ended; the next start drops them");
      }
      log.info({ leases: ended.map(leaseId).slice(0, 20), count: ended.length }, "leases ended");
    }
    this.#armTimer();
  }
}

function outcomeOf(decision: Decision | undefined): KnockOutcome {
  if (decision === undefined) return { refusal: "unknown_client" };
  return decision.opened.length + decision.renewed.length > 0 ? decision : { refusal: "no_ports" };
}

function eventsOf(knock: Knock, client: string | undefined, decision: Decision | undefined, time: number): WkfsEvent[] {
  const outcome = outcomeOf(decision);
  if ("refusal" in outcome) {
    return [
      {
        type: "refused",
        time,
        client: client ?? knock.client,
        address: knock.address,
        ports: knock.ports,
        reason: outcome.refusal,
      },
    ];
  }
  return [
    ...(outcome.opened.length > 0 ? [{ type: "opened", time, leases: outcome.opened } as const] : []),
    ...(outcome.renewed.length > 0 ? [{ type: "renewed", time, leases: outcome.renewed } as const] : []),
  ];
}

function summary(outcome: KnockOutcome): object {
  return "refusal" in outcome
    ? { reason: outcome.refusal }
    : { opened: outcome.opened.map(leaseId), renewed: outcome.renewed.map(leaseId), refused: outcome.refused.length };
}
