import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Notifier } from "@wkfs/core";

/** Milliseconds that a test message may take, as with the daemon. */
export const TEST_LIMIT = 61_000;

/** Sends one message in the daemon's words, marked as a test. Rejects with what the notifier fails with. */
export async function sendTestMessage(notifier: Notifier, signal: AbortSignal): Promise<void> {
  const events = [{ type: "started", time: Date.now(), leases: 0 }] as const;
  await notifier.notify({ id: `test-${randomUUID()}`, host: `${hostname()} (only a test)`, events }, signal);
}
