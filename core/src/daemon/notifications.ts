import { randomUUID } from "node:crypto";
import type { Notifier } from "../contracts/notifier.ts";
import type { Clock, Logger } from "../contracts/plugin.ts";
import type { PendingNotification, Store } from "../contracts/store.ts";
import { isWkfsError, messageOf } from "../model/errors.ts";
import { type EventType, TOLD, type WkfsEvent } from "../model/event.ts";
import { type Named, withTimeLimit } from "../lifecycle/time-limit.ts";
import type { Serial } from "./serial.ts";

/**
 * Most events in one message, and most that are held in memory for one notifier: what waited for a slow receiver, or came as a
 * flood, is a digest, and what waits beyond that for one that is down for days waits in the store alone.
 */
const DIGEST = 10_000;
/**
 * So many messages in a row go out at once, and then one in so many milliseconds, with all that came meanwhile. Nobody
 * reads a thousand mails, and the one among them that matters would be lost.
 */
const BURST = 5;
const EVERY = 60_000;
/** Milliseconds that one delivery may take. */
const DELIVERY_LIMIT = 60_000;
/** Milliseconds that a stop waits for what is on its way, such as the news of the stop itself. What is left is told at the next start. */
const GRACE = 5000;
/** Milliseconds in which a delivery that was called off has to end, and a notifier to close. Whoever needs longer is left behind. */
const ENDING_LIMIT = 2000;
/** Milliseconds before the second try, doubled each time up to the most, half of it random. */
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 900_000;

/** A notifier, and of which events it tells; by itself of those that are worth a message. */
export interface NotifierFor extends Named<Notifier> {
  /** By itself `TOLD`. */
  readonly events?: readonly EventType[];
}

export interface Surroundings {
  readonly store: Store;
  /** In which the store is read: what is durable there, and not handed over yet, may still be taken back. */
  readonly serial: Serial;
  /** Name of this host. */
  readonly host: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Tells the notifiers, without anybody waiting for them. What is to be told was made durable with the
 * transaction that it is about; here it is delivered, again and again until it was, also after a
 * restart.
 */
export class Notifications {
  readonly #workers: readonly Worker[];
  #stopping: Promise<void> | undefined;

  constructor(notifiers: readonly NotifierFor[], surroundings: Surroundings) {
    this.#workers = notifiers.map((notifier) => new Worker(notifier, surroundings));
  }

  /** One notification for each notifier and event that is worth one, to be made durable by the caller. */
  address(events: readonly WkfsEvent[]): PendingNotification[] {
    return this.#workers.flatMap(({ name, tells }) =>
      events.filter(({ type }) => tells.has(type)).map((event) => ({ id: randomUUID(), notifier: name, event })),
    );
  }

  /** How far each notifier is behind; after a restart with more than `DIGEST` of them, by how many at least. */
  report(): { readonly name: string; readonly waiting: number; readonly failures: number }[] {
    return this.#workers.map(({ name, waiting, failures }) => ({ name, waiting, failures }));
  }

  /** Hands over what is durable and has happened. */
  deliver(pending: readonly PendingNotification[]): void {
    if (pending.length === 0) return;
    for (const worker of this.#workers) worker.deliver(pending.filter(({ notifier }) => notifier === worker.name));
  }

  /** Takes up what a former run could not deliver, and what was made durable before this. */
  async start(): Promise<void> {
    for (const worker of this.#workers) await worker.start();
  }

  /**
   * Lets what is on its way be delivered, but waits for nobody longer than `GRACE` and `ENDING_LIMIT`. What was not delivered
   * stays in the store. Idempotent.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const results = await Promise.allSettled(this.#workers.map((worker) => worker.stop()));
    const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
    if (failures.length > 0) throw new AggregateError(failures, failures.map(messageOf).join("; "));
  }
}

class Worker {
  readonly name: string;
  readonly tells: ReadonlySet<EventType>;
  readonly #notifier: Notifier;
  readonly #store: Store;
  readonly #serial: Serial;
  readonly #host: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** The oldest that wait, at most `DIGEST`. */
  readonly #queue: PendingNotification[] = [];
  /** How many wait in the store beyond those of the queue; while there are any, whatever comes waits behind them. */
  #behind = 0;
  /** Ids of what was delivered and is still in the store, which refused to forget it. */
  #delivered: string[] = [];
  /** Aborts when nothing is tried again any more, and then when deliveries are called off. */
  readonly #stopping = new AbortController();
  readonly #off = new AbortController();
  #running: Promise<void> | undefined;
  #failures = 0;
  #wake: (() => void) | undefined;
  /** Messages that may go out at once, and since when that is so by the steady clock. */
  #allowance = BURST;
  #countedAt = 0;

  constructor({ name, plugin, events = TOLD }: NotifierFor, { store, serial, host, clock, log }: Surroundings) {
    this.name = name;
    this.tells = new Set(events);
    this.#notifier = plugin;
    this.#store = store;
    this.#serial = serial;
    this.#host = host;
    this.#clock = clock;
    this.#log = log;
  }

  get waiting(): number {
    return this.#queue.length + this.#behind;
  }

  /** Tries in a row that failed. */
  get failures(): number {
    return this.#failures;
  }

  async start(): Promise<void> {
    await this.#read();
    this.#go();
  }

  deliver(pending: readonly PendingNotification[]): void {
    const room = this.#behind > 0 ? 0 : DIGEST - this.#queue.length;
    this.#queue.push(...pending.slice(0, room));
    this.#behind += Math.max(0, pending.length - room);
    this.#go();
  }

  #go(): void {
    if (this.waiting === 0 || this.#stopping.signal.aborted) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // For what came after the run had found that nothing waits.
      this.#go();
    });
  }

  /** Fills the queue with what waits in the store, the oldest first. Rejects as the store does. */
  async #read(): Promise<void> {
    await this.#serial.run(async () => {
      const known = new Set([...this.#queue.map(({ id }) => id), ...this.#delivered]);
      const room = DIGEST - this.#queue.length;
      const found = await this.#store.pending(this.name, known.size + room + 1);
      const fresh = found.filter(({ id }) => !known.has(id));
      this.#queue.push(...fresh.slice(0, room));
      this.#behind = fresh.length <= room ? 0 : Math.max(1, this.#behind - room);
    });
  }

  /** True when there is something to tell. What is in the store alone is left to the next start once we stop. */
  async #filled(): Promise<boolean> {
    while (this.#queue.length === 0 && this.#behind > 0 && !this.#stopping.signal.aborted) {
      try {
        await this.#read();
      } catch (error) {
        const data = { notifier: this.name, error: messageOf(error) };
        this.#log.error(data, "the store would not give what waits for a notifier; trying again");
        await this.#pause();
      }
    }
    return this.#queue.length > 0;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    const cancel = this.#clock.setTimer(GRACE, () => this.#off.abort());
    this.#wake?.();
    await this.#running;
    cancel();
    await withTimeLimit(ENDING_LIMIT, `notifier ${this.name}: close`, () => this.#notifier.close());
  }

  async #run(): Promise<void> {
    while (!this.#off.signal.aborted && (await this.#filled())) {
      await this.#turn();
      const batch = this.#queue.slice(0, DIGEST);
      // What comes meanwhile waits for the next message: one that is tried again stays the one that it was.
      while (!(await this.#tell(batch))) {
        if (this.#stopping.signal.aborted) return;
        await this.#pause();
        if (this.#stopping.signal.aborted) return;
      }
      this.#failures = 0;
      await this.#done(batch);
      this.#queue.splice(0, batch.length);
    }
  }

  /** Waits the longer, the more tries in a row failed. */
  async #pause(): Promise<void> {
    this.#failures += 1;
    const longest = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (this.#failures - 1));
    await this.#wait(longest * (0.5 + Math.random() / 2));
  }

  /** True when this batch is done with: delivered, or refused for good. */
  async #tell(batch: readonly PendingNotification[]): Promise<boolean> {
    const timeout = AbortSignal.timeout(DELIVERY_LIMIT);
    const signal = AbortSignal.any([this.#off.signal, timeout]);
    const notification = { id: batch[0]!.id, host: this.#host, events: batch.map(({ event }) => event) };
    // A copy: whatever a notifier does with it, lease book, history and the other notifiers have their own.
    const call = withTimeLimit(DELIVERY_LIMIT + 1000, `notifier ${this.name}: notify`, () =>
      this.#notifier.notify(structuredClone(notification), signal),
    );
    try {
      await this.#unlessLeft(call);
      return true;
    } catch (error) {
      if (this.#off.signal.aborted) return false;
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
    const dequeue = [...this.#delivered, ...batch.map(({ id }) => id)];
    try {
      await this.#store.write({ dequeue });
      this.#delivered = [];
    } catch (error) {
      this.#delivered = dequeue.slice(-DIGEST);
      this.#log.error(
        { notifier: this.name, error: messageOf(error) },
        "the store kept notifications that were delivered; a restart before the next delivery repeats them",
      );
    }
  }

  /** As the call goes; a rejection when the call goes on after it was called off. */
  async #unlessLeft(call: Promise<void>): Promise<void> {
    const left = Promise.withResolvers<never>();
    let cancel = (): void => {};
    const leave = (): void => {
      cancel = this.#clock.setTimer(ENDING_LIMIT, () => {
        this.#log.warn({ notifier: this.name }, "a notifier did not end when it was called off; it is left behind");
        left.reject(new Error("it was left behind"));
      });
    };
    this.#off.signal.addEventListener("abort", leave, { once: true });
    try {
      await Promise.race([call, left.promise]);
    } finally {
      this.#off.signal.removeEventListener("abort", leave);
      cancel();
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
    if (this.#stopping.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#clock.setTimer(milliseconds, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
