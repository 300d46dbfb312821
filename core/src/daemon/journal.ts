import type { Logger } from "../contracts/plugin.ts";
import type { Store, StoreChange } from "../contracts/store.ts";
import { messageOf } from "../model/errors.ts";
import type { WkfsEvent } from "../model/event.ts";
import type { Notifications } from "./notifications.ts";

/** Most events that wait for a store that refuses; the oldest are lost first. */
const MOST_WAITING = 10_000;

/** Makes durable what happened, and has it told. */
export class Journal {
  readonly #store: Store;
  readonly #notifications: Notifications;
  readonly #log: Logger;
  readonly #tell: (event: WkfsEvent) => void;
  #waiting: WkfsEvent[] = [];

  /** `tell` hears of each event once, whether the store takes it or not. */
  constructor(store: Store, notifications: Notifications, log: Logger, tell: (event: WkfsEvent) => void) {
    this.#store = store;
    this.#notifications = notifications;
    this.#log = log;
    this.#tell = tell;
  }

  /** Writes a change, and the history that waits with it. Rejects as the store does, and with `PLUGIN_TIMEOUT`. */
  async write(change: StoreChange): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      const append = [...waiting, ...(change.append ?? [])];
      await this.#store.write({ ...change, append });
    } catch (error) {
      // What waited is not at fault; but a store that refuses for long must not fill the memory.
      this.#waiting = [...waiting, ...this.#waiting].slice(-MOST_WAITING);
      throw error;
    }
  }

  /** Has these events appended to the history with the next write, or with `flush`. */
  remember(events: readonly WkfsEvent[]): void {
    this.#waiting.push(...events);
    for (const event of events) this.#tell(event);
  }

  /** Writes the history that waits. Its failure changes nothing about ports that are open or shut; never rejects. */
  async flush(): Promise<void> {
    if (this.#waiting.length === 0) return;
    try {
      await this.write({});
    } catch (error) {
      this.#log.error(
        { error: messageOf(error) },
        "the store refused to add to the history; trying again with the next",
      );
    }
  }

  /** Writes down what happened outside a knock, and tells those who are to be told; never rejects. */
  async record(event: WkfsEvent): Promise<void> {
    const enqueue = this.#notifications.address([event]);
    try {
      await this.write({ append: [event], enqueue });
    } catch (error) {
      const data = { error: messageOf(error), event: event.type };
      this.#log.error(data, "the store refused an event; it is told without being kept");
    }
    this.#notifications.deliver(enqueue);
    this.#tell(event);
  }

  /** For an event that its own part writes down. */
  tell(event: WkfsEvent): void {
    this.#tell(event);
  }
}
