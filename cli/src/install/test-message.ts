import { hostname } from "node:os";
import { type Notifier, WkfsError, messageOf } from "@wkfs/core";
import type { ServerAnswers } from "./answers.ts";
import { prepared } from "./plugin-context.ts";

/** Milliseconds that a message may take, as with the daemon. */
const TIME_LIMIT = 61_000;

/** Sends one message by each notifier, in the daemon's words, marked as a test. Throws what the first that fails says. */
export async function sendTestMessages(
  answers: ServerAnswers,
  place: { readonly folder: string; readonly dataDir: string },
): Promise<string[]> {
  const signal = AbortSignal.timeout(TIME_LIMIT);
  const sent: string[] = [];
  for (const section of answers.notify) {
    const { plugin, config, context } = await prepared(section, answers, { ...place, signal });
    const notifier = (await plugin.create(config as never, context)) as Notifier;
    const now = Date.now();
    try {
      const events = [{ type: "started", time: now, leases: 0 }] as const;
      await notifier.notify({ id: `test-${now}`, host: `${hostname()} (only a test)`, events }, signal);
      sent.push(section.use);
    } catch (error) {
      throw new WkfsError("NOTIFY_FAILED", `the test message by ${section.use} did not go out: ${messageOf(error)}`, {
        hint: "The files are written. Mend what it says, and try again with --force --test-mail.",
        cause: error,
      });
    } finally {
      await notifier.close();
    }
  }
  return sent;
}
