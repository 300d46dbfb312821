import { describe, expect, it } from "vitest";
import type { Notification, Notifier } from "../../src/contracts/notifier.ts";
import { WkfsError, isWkfsError } from "../../src/model/errors.ts";
import { notifierSuite } from "../notifier-suite.ts";
import { RecordingNotifier } from "../recording-notifier.ts";
import type { TestRunner } from "../runner.ts";
import { verdictOf } from "./verdict.ts";

/** What a broken notifier does with one that is not: `tell` is what that would do. */
type Breaking = (tell: RecordingNotifier, all: RecordingNotifier[]) => Notifier;

const suiteOf = (breaking: Breaking) => (runner: TestRunner) =>
  notifierSuite("a notifier in memory", runner, async () => {
    const made: RecordingNotifier[] = [];
    const told = () => made.flatMap((notifier) => notifier.told);
    const make = async (how: (notification: Notification) => void | Promise<void>): Promise<Notifier> => {
      const notifier = new RecordingNotifier();
      notifier.onNotify = how;
      made.push(notifier);
      return breaking(notifier, made);
    };
    const refuse = (code: "NOTIFY_FAILED" | "NOTIFY_REJECTED") => () => Promise.reject(new WkfsError(code, "no"));
    return {
      make: () => make(() => {}),
      received: () => told().length,
      messages: async () => told().map((notification) => JSON.stringify(notification)),
      unreachable: () => make(refuse("NOTIFY_FAILED")),
      rejecting: () => make(refuse("NOTIFY_REJECTED")),
      silent: (reached) => make(() => (reached(), new Promise(() => {}))),
      [Symbol.asyncDispose]: async () => {},
    };
  });

const never = new AbortController().signal;
const close = (tell: Notifier) => () => tell.close();
const CALLED_OFF = "ends promptly when it is called off";
const BROKEN: readonly [string, Breaking, string[], number?][] = [
  [
    "swallows failures",
    (tell) => ({
      notify: (notification, signal) =>
        tell.notify(notification, signal).catch((error: unknown) => {
          if (signal.aborted || isWkfsError(error, "NOTIFY_REJECTED")) throw error;
        }),
      close: close(tell),
    }),
    ["rejects with NOTIFY_FAILED when the receiver is down, each time"],
  ],
  [
    "has one code for all failures",
    (tell) => ({
      notify: (notification, signal) =>
        tell.notify(notification, signal).catch(() => Promise.reject(new WkfsError("NOTIFY_FAILED", "no"))),
      close: close(tell),
    }),
    ["rejects with NOTIFY_REJECTED when it is refused for good"],
  ],
  [
    "ignores the signal",
    (tell) => ({ notify: (notification) => tell.notify(notification, never), close: close(tell) }),
    [CALLED_OFF, "close leaves no call hanging", "delivers nothing that was called off before"],
    1500,
  ],
  [
    "hears the signal only after it began",
    (tell) => ({
      notify: (notification, signal) => tell.notify(notification, signal.aborted ? never : signal),
      close: close(tell),
    }),
    ["delivers nothing that was called off before"],
  ],
  [
    "resolves before it is delivered",
    (tell) => ({
      async notify(notification, signal) {
        tell.notify(notification, signal).catch(() => {});
      },
      close: close(tell),
    }),
    [
      CALLED_OFF,
      "delivers nothing that was called off before",
      "delivers whatever stands in an event",
      "rejects with NOTIFY_FAILED when the receiver is down, each time",
      "rejects with NOTIFY_REJECTED when it is refused for good",
      "resolves when the receiver has taken it over, and not before",
      "tells of every event of a message",
      "tells several events in one message, of every type and many",
      "two at a time each deliver, and one goes on when the other is closed",
    ],
  ],
  [
    "sends a message for each event",
    (tell) => ({
      async notify(notification, signal) {
        for (const event of notification.events) await tell.notify({ ...notification, events: [event] }, signal);
      },
      close: close(tell),
    }),
    ["tells several events in one message, of every type and many", "tells of every event of a message"],
  ],
  [
    "tells of the first event alone",
    (tell) => ({
      notify: (notification, signal) =>
        tell.notify({ ...notification, events: notification.events.slice(0, 1) }, signal),
      close: close(tell),
    }),
    ["tells of every event of a message"],
  ],
  [
    "trips over what stands in an event",
    (tell) => ({
      async notify(notification, signal) {
        encodeURIComponent(notification.host);
        await tell.notify(notification, signal);
      },
      close: close(tell),
    }),
    ["delivers whatever stands in an event"],
  ],
  [
    "changes what it is told",
    (tell) => ({
      async notify(notification, signal) {
        await tell.notify(notification, signal);
        for (const event of notification.events) (event as { time: number }).time = 0;
      },
      close: close(tell),
    }),
    ["leaves what it is told as it is"],
  ],
  [
    "shares its connection with others and closes it for all",
    (tell, all) => ({
      async notify(notification, signal) {
        if (all.some(({ closed }) => closed)) throw new WkfsError("NOTIFY_FAILED", "the connection is closed");
        await tell.notify(notification, signal);
      },
      close: close(tell),
    }),
    ["two at a time each deliver, and one goes on when the other is closed"],
  ],
  [
    "cannot be closed twice",
    (tell) => ({
      notify: (notification, signal) => tell.notify(notification, signal),
      async close() {
        if (tell.closed && tell.told.length > 0) throw new Error("it is closed already");
        await tell.close();
      },
    }),
    [
      "close is idempotent, and needs no use before",
      "two at a time each deliver, and one goes on when the other is closed",
    ],
  ],
];

describe("the suite of notifiers finds a notifier that", () => {
  it.each(BROKEN)("%s", async (_, breaking, expected, timeLimit) => {
    const { failed } = await verdictOf(suiteOf(breaking), timeLimit);
    expect(Object.keys(failed).toSorted()).toEqual(expected.toSorted());
  });

  it("has no fault: it fails nothing and skips nothing", async () => {
    const { failed, skipped, passed } = await verdictOf(suiteOf((tell) => tell));
    expect({ failed, skipped, passed }).toEqual({ failed: {}, skipped: [], passed: 13 });
  });
});
