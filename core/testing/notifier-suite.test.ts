import { describe, it } from "vitest";
import type { Notifier } from "../src/contracts/notifier.ts";
import { type ErrorCode, WkfsError } from "../src/model/errors.ts";
import { notifierSuite } from "./notifier-suite.ts";

/** A notifier that does what it is told to do, unless it is called off. */
function telling(how: () => Promise<void>): Notifier {
  return {
    async notify(_, signal) {
      const off = Promise.withResolvers<never>();
      const end = (): void => off.reject(new WkfsError("NOTIFY_FAILED", "called off"));
      if (signal.aborted) end();
      signal.addEventListener("abort", end);
      await Promise.race([off.promise, signal.aborted ? off.promise : how()]);
    },
    async close() {},
  };
}

const failing = (code: ErrorCode) => telling(() => Promise.reject(new WkfsError(code, "it does not want to")));

notifierSuite("a notifier in memory", { describe, it }, async () => {
  let received = 0;
  return {
    make: async () => telling(async () => void (received += 1)),
    received: () => received,
    unreachable: async () => failing("NOTIFY_FAILED"),
    rejecting: async () => failing("NOTIFY_REJECTED"),
    silent: async (reached) =>
      telling(() => {
        reached();
        return new Promise(() => {});
      }),
    [Symbol.asyncDispose]: async () => {},
  };
});
