import type { Logger } from "../contracts/plugin.ts";
import type { Store, StoreChange } from "../contracts/store.ts";
import { withTimeLimit } from "../lifecycle/time-limit.ts";
import { messageOf } from "../model/errors.ts";
import type { WkfsEvent } from "../model/event.ts";
import type { Notifications } from "./notifications.ts";

/** Milliseconds that one write of the store may take. */
const WRITE_LIMIT = 10_000;

/** Makes durable what happened, and has it told. */
export class Journal {
  readonly #store: Store;
  readonly #notifications: Notifications;
  readonly #log: Logger;

  constructor(store: Store, notifications: Notifications, log: Logger) {
    this.#store = store;
    this.#notifications = notifications;
    this.#log = log;
  }

  /** Rejects as the store does, and with `PLUGIN_TIMEOUT`. */
  write(change: StoreChange): Promise<void> {
    return withTimeLimit(this.#store.write(change), WRITE_LIMIT, "store: write");
  }

  /** Appends to the history. Its failure changes nothing about ports that are open or shut; never rejects. */
  async remember(events: readonly WkfsEvent[]): Promise<void> {
    if (events.length === 0) return;
    try {
      await this.write({ append: events });
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, "the store refused to add to the history");
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
  }
}
