import { type Notifier, WkfsError, messageOf } from "@wkfs/core";
import { TEST_LIMIT, sendTestMessage } from "../test-message.ts";
import type { ServerAnswers } from "./answers.ts";
import { prepared } from "./plugin-context.ts";

/** Sends a test message by each notifier. Throws what the first that fails says. */
export async function sendTestMessages(
  answers: ServerAnswers,
  place: { readonly folder: string; readonly dataDir: string },
): Promise<string[]> {
  const signal = AbortSignal.timeout(TEST_LIMIT);
  const sent: string[] = [];
  for (const section of answers.notify) {
    const { plugin, config, context } = await prepared(section, answers, { ...place, signal });
    const notifier = (await plugin.create(config as never, context)) as Notifier;
    try {
      await sendTestMessage(notifier, signal);
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
