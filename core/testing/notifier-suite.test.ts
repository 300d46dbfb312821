import { describe, it } from "vitest";
import type { ErrorCode } from "../src/model/errors.ts";
import { WkfsError } from "../src/model/errors.ts";
import { notifierSuite } from "./notifier-suite.ts";
import { RecordingNotifier } from "./recording-notifier.ts";

function failing(code: ErrorCode): RecordingNotifier {
  const notifier = new RecordingNotifier();
  notifier.onNotify = () => Promise.reject(new WkfsError(code, "it does not want to"));
  return notifier;
}

notifierSuite("the notifier that records", { describe, it }, async () => {
  const made: RecordingNotifier[] = [];
  const told = () => made.flatMap((notifier) => notifier.told);
  return {
    async make() {
      const notifier = new RecordingNotifier();
      made.push(notifier);
      return notifier;
    },
    received: () => told().length,
    messages: async () => told().map((notification) => JSON.stringify(notification)),
    unreachable: async () => failing("NOTIFY_FAILED"),
    rejecting: async () => failing("NOTIFY_REJECTED"),
    async silent(reached) {
      const notifier = new RecordingNotifier();
      notifier.onNotify = () => {
        reached();
        return new Promise(() => {});
      };
      return notifier;
    },
    [Symbol.asyncDispose]: async () => {},
  };
});
