import type { Notification, Notifier } from "../src/contracts/notifier.ts";
import { WkfsError } from "../src/model/errors.ts";
import type { WkfsEvent } from "../src/model/event.ts";

/**
 * A notifier that keeps what it is told, as its receiver would. What is public beyond the contract is the receiver's side, for
 * tests: it may be down, refuse or be silent.
 */
export class RecordingNotifier implements Notifier {
  /** Every notification that was taken over, in order. */
  readonly told: Notification[] = [];
  /** Called with each notification before it is taken over: throw to refuse it, or return a promise to hold it. */
  onNotify: (notification: Notification) => void | Promise<void> = () => {};
  closed = false;

  /** All events of all notifications. */
  get events(): readonly WkfsEvent[] {
    return this.told.flatMap(({ events }) => events);
  }

  async notify(notification: Notification, signal: AbortSignal): Promise<void> {
    const calledOff = Promise.withResolvers<never>();
    const end = (): void => calledOff.reject(new WkfsError("NOTIFY_FAILED", "the call was called off"));
    if (signal.aborted) end();
    signal.addEventListener("abort", end, { once: true });
    try {
      await Promise.race([calledOff.promise, signal.aborted || this.onNotify(notification)]);
      this.told.push(notification);
    } finally {
      signal.removeEventListener("abort", end);
    }
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}
