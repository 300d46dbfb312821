import type { WkfsEvent } from "../model/event.ts";

/**
 * Tells somebody about events. May be slow or down: the queue, the retries with back-off, the time
 * limit and the surviving of restarts are core's.
 *
 * 1. `notify`, one call at a time.
 * 2. `close`, and nothing after it.
 */
export interface Notifier {
  /**
   * Delivers these events, in order, as one message. Mostly it is one event; after a flood or a failure all that
   * waited comes at once, up to 10,000, so a message of bounded length counts what it does not show. Resolves when the other side has taken it over.
   * Rejects with `NOTIFY_FAILED` when trying again later may help, and with `NOTIFY_REJECTED` when it
   * cannot (the event is then logged and dropped). It may be called again with events that it already
   * delivered, when the daemon died between delivery and the note of it.
   */
  notify(notification: Notification, signal: AbortSignal): Promise<void>;

  /** Frees connections. Idempotent. */
  close(): Promise<void>;
}

/** One message about one or more events, in the order in which they happened. Plain JSON. */
export interface Notification {
  /** The same at every try, so that a receiver can tell repetitions. */
  readonly id: string;
  /** Name of the host that the daemon runs on. */
  readonly host: string;
  /** At least one. */
  readonly events: readonly WkfsEvent[];
}
