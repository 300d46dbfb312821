import { randomUUID } from "node:crypto";
import type { Notifier } from "../contracts/notifier.ts";
import type { Clock, Logger } from "../contracts/plugin.ts";
import type { PendingNotification, Store } from "../contracts/store.ts";
import { isWkfsError, messageOf } from "../model/errors.ts";
import { type EventType, TOLD, type WkfsEvent } from "../model/event.ts";
import { type Named, withTimeLimit } from "../lifecycle/time-limit.ts";

/** Most events in one message: what waited for a slow receiver, or came as a flood, is a digest. */
const DIGEST = 10_000;
/**
 * So many messages in a row go out at once, and then one in so many milliseconds, with all that came meanwhile. Nobody
 * reads a thousand mails, and the one among them that matters would be lost.
 */
const BURST = 5;
const EVERY = 60_000;
/** Milliseconds that one delivery may take. */
const DELIVERY_LIMIT = 60_000;
/** Milliseconds before the second try, doubled each time up to the most, half of it random. */
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 900_000;

/** A notifier, and of which events it tells; by itself of those that are worth a message. */
export interface NotifierFor extends Named<Notifier> {
  /** By itself `TOLD`. */
  readonly events?: readonly EventType[];
}

/**
 * Tells the notifiers, without anybody waiting for them. What is to be told was made durable with the
 * transaction that it is about; here it is delivered, again and again until it was, also after a
 * restart.
 */
export class Notifications {
  readonly #workers: readonly Worker[];

  constructor(notifiers: readonly NotifierFor[], store: Store, host: string, clock: Clock, log: Logger) {
    this.#workers = notifiers.map((notifier) => new Worker(notifier, store, host, clock, log));
  }

  /** One notification for each notifier and event that is worth one, to be made durable by the caller. */
  address(events: readonly WkfsEvent[]): PendingNotification[] {
    return this.#workers.flatMap(({ name, tells }) =>
      events.filter(({ type }) => tells.has(type)).map((event) => ({ id: randomUUID(), notifier: name, event })),
    );
  }

  /** How far each notifier is behind. */
  report(): { readonly name: string; readonly waiting: number; readonly failures: number }[] {
    return this.#workers.map(({ name, waiting, failures }) => ({ name, waiting, failures }));
  }

  /** Hands over what is durable and has happened. */
  deliver(pending: readonly PendingNotification[]): void {
    if (pending.length === 0) return;
    for (const worker of this.#workers) worker.deliver(pending.filter(({ notifier }) => notifier === worker.name));
  }

  /** Takes up what a former run could not deliver. */
  async start(): Promise<void> {
    for (const worker of this.#workers) await worker.start();
  }

  /** Breaks deliveries off; what was not delivered stays in the store. */
  async stop(): Promise<void> {
    const results = await Promise.allSettled(this.#workers.map((worker) => worker.stop()));
    const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
    if (failures.length > 0) throw new AggregateError(failures, "a notifier could not be closed");
  }
}

class Worker {
  readonly name: string;
  readonly tells: ReadonlySet<EventType>;
  readonly #notifier: Notifier;
  readonly #store: Store;
  readonly #host: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #queue: PendingNotification[] = [];
  readonly #stopped = new AbortController();
  #running: Promise<void> | undefined;
  #failures = 0;
  #wake: (() => void) | undefined;
  /** Messages that may go out at once, and since when that is so by the steady clock. */
  #allowance = BURST;
  #countedAt = 0;

  constructor({ name, plugin, events = TOLD }: NotifierFor, store: Store, host: string, clock: Clock, log: Logger) {
    this.name = name;
    this.tells = new Set(events);
    this.#notifier = plugin;
    this.#store = store;
    this.#host = host;
    this.#clock = clock;
    this.#log = log;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** Tries in a row that failed. */
  get failures(): number {
    return this.#failures;
  }

  async start(): Promise<void> {
    this.deliver(await this.#store.pending(this.name, 100_000));
  }

  deliver(pending: readonly PendingNotification[]): void {
    for (const one of pending) this.#queue.push(one);
    if (this.#queue.length > 0 && !this.#stopped.signal.aborted)
      this.#running ??= this.#run().finally(() => (this.#running = undefined));
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#wake?.();
    await this.#running;
    await withTimeLimit(this.#notifier.close(), DELIVERY_LIMIT, `notifier ${this.name}: close`);
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0 && !this.#stopped.signal.aborted) {
      await this.#turn();
      if (this.#stopped.signal.aborted) return;
      const batch = this.#queue.slice(0, DIGEST);
      // What comes meanwhile waits for the next message: one that is tried again stays the one that it was.
      while (!(await this.#tell(batch))) {
        this.#failures += 1;
        const longest = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (this.#failures - 1));
        await this.#wait(longest * (0.5 + Math.random() / 2));
        if (this.#stopped.signal.aborted) return;
      }
      this.#failures = 0;
      this.#queue.splice(0, batch.length);
      await this.#done(batch);
    }
  }

  /** True when this batch is done with: delivered, or refused for good. */
  async #tell(batch: readonly PendingNotification[]): Promise<boolean> {
    const timeout = AbortSignal.timeout(DELIVERY_LIMIT);
    const signal = AbortSignal.any([this.#stopped.signal, timeout]);
    const notification = { id: batch[0]!.id, host: this.#host, events: batch.map(({ event }) => event) };
    try {
      await withTimeLimit(
        this.#notifier.notify(notification, signal),
        DELIVERY_LIMIT + 1000,
        `notifier ${this.name}: notify`,
      );
      return true;
    } catch (error) {
      if (this.#stopped.signal.aborted) return false;
      const data = { notifier: this.name, events: batch.length, error: messageOf(error) };
      if (isWkfsError(error, "NOTIFY_REJECTED")) {
        this.#log.error(data, "a notification was refused for good and is dropped");
        return true;
      }
      this.#log.warn({ ...data, failures: this.#failures + 1 }, "a notification could not be delivered; trying again");
      return false;
    }
  }

  async #done(batch: readonly PendingNotification[]): Promise<void> {
    try {
      await this.#store.write({ dequeue: batch.map(({ id }) => id) });
    } catch (error) {
      this.#log.error(
        { notifier: this.name, error: messageOf(error) },
        "the store kept notifications that were delivered; a restart repeats them",
      );
    }
  }

  /** Waits until another message may go out. */
  async #turn(): Promise<void> {
    const now = this.#clock.steady();
    const earned = Math.floor((now - this.#countedAt) / EVERY);
    this.#countedAt += earned * EVERY;
    this.#allowance = Math.min(BURST, this.#allowance + earned);
    if (this.#allowance === BURST) this.#countedAt = now;
    if (this.#allowance === 0) {
      this.#allowance += 1;
      const wait = this.#countedAt + EVERY - now;
      this.#countedAt += EVERY;
      await this.#wait(wait);
    }
    this.#allowance -= 1;
  }

  #wait(milliseconds: number): Promise<void> {
    if (this.#stopped.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#clock.setTimer(milliseconds, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
