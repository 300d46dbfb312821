import { describe, expect, it } from "vitest";
import type { GrantHandler, Transport } from "../../src/contracts/transport.ts";
import { WkfsError } from "../../src/model/errors.ts";
import { FakeClock } from "../fake-clock.ts";
import { MemoryLink } from "../memory-transport.ts";
import type { TestRunner } from "../runner.ts";
import { transportSuite } from "../transport-suite.ts";
import { verdictOf } from "./verdict.ts";

/** What a broken transport does with one that is not. */
type Breaking = (link: MemoryLink, secret?: string) => Transport;

const suiteOf =
  (breaking: Breaking, timed = true) =>
  (runner: TestRunner) =>
    transportSuite("a transport in memory", runner, async () => {
      const clock = new FakeClock();
      const link = new MemoryLink(timed ? clock : undefined);
      const broken = new MemoryLink();
      broken.broken = true;
      return {
        listener: async () => breaking(link),
        caller: async () => breaking(link),
        stranger: async () => breaking(link, "another secret"),
        kill: async () => link.kill(),
        pass: (milliseconds) => clock.advance(milliseconds),
        unreachable: async () => breaking(new MemoryLink()),
        async brokenOff() {
          await broken.transport().listen(async () => "{}");
          return breaking(broken);
        },
      };
    });

/** As the transport of the link, but for these parts. */
const but =
  (parts: (whole: Transport) => Partial<Transport>): Breaking =>
  (link, secret) => {
    const whole = link.transport(secret);
    return { ...whole, ...parts(whole) };
  };
const never = new AbortController().signal;
const handling = (change: (handler: GrantHandler) => GrantHandler): Breaking =>
  but(({ listen }) => ({ listen: (handler) => listen(change(handler)) }));

/** Gives replies to callers in the order in which they called. */
const mixing: Breaking = but(({ call }) => {
  const callers: ((reply: string) => void)[] = [];
  return {
    async call(request, signal) {
      const turn = Promise.withResolvers<string>();
      callers.push(turn.resolve);
      const mine = call(request, signal).then(
        (reply) => callers.shift()?.(reply),
        (error: unknown) => {
          callers.splice(callers.indexOf(turn.resolve), 1);
          turn.reject(error);
        },
      );
      const [reply] = await Promise.all([turn.promise, mine]);
      return reply;
    },
  };
});

const OFF = "ends a call that is called off, and sends none that was called off before";
const SILENT = "gives up on a daemon that gives no answer within a minute, and not before";
const DIES = "fails what is under way when the daemon dies, sends none of it again, and finds the next one";
const BROKEN: readonly [string, Breaking, string[], { timed?: boolean; timeLimit?: number }?][] = [
  [
    "mixes up answers",
    mixing,
    [
      "carries a hundred calls at the same time, each to the daemon once and with its own answer",
      "lets no slow call hold up fast ones",
    ],
    { timeLimit: 1500 },
  ],
  ["accepts a stranger", (link) => link.transport(), ["lets nobody with another secret reach the daemon"]],
  ["never gives up", but(() => ({})), [SILENT], { timed: false, timeLimit: 1500 }],
  [
    "sends again what may have been taken",
    but(({ call }) => ({
      call: (request, signal) =>
        call(request, signal).catch(async (error: Error) => {
          if (!error.message.includes("broke off")) throw error;
          // As soon as there is a daemon again.
          for (;;) {
            const reply = await call(request, signal).catch(() => undefined);
            if (reply !== undefined) return reply;
            await new Promise((resolve) => setImmediate(resolve));
          }
        }),
    })),
    [DIES, "says that a daemon broke off"],
    { timeLimit: 1500 },
  ],
  ["ignores the signal", but(({ call }) => ({ call: (request) => call(request, never) })), [OFF], { timeLimit: 1500 }],
  [
    "writes the answer anew",
    handling((handler) => async (request) => JSON.stringify(JSON.parse(await handler(request)))),
    ["brings a request to the daemon and the answer back as it was written"],
  ],
  [
    "shows the daemon more than was asked",
    handling((handler) => (request) => handler({ ...request, secret: "s" } as typeof request)),
    [
      "brings a request to the daemon and the answer back as it was written",
      "keeps members that a request does not have away from the daemon",
      "passes on what it does not understand, unchecked",
    ],
  ],
  [
    "understands what it passes on",
    handling((handler) => (request) => handler({ ...request, time: Number(request.time) })),
    ["passes on what it does not understand, unchecked"],
  ],
  [
    "has one code for all failures",
    but(({ call }) => ({
      call: (request, signal) =>
        call(request, signal).catch(() => Promise.reject(new WkfsError("TRANSPORT_FAILED", "no"))),
    })),
    [
      OFF,
      DIES,
      "lets answers under way out before it closes, and is not there afterwards",
      "says that no daemon is there",
    ],
  ],
  [
    "says of what was taken that it was not",
    but(({ call }) => ({
      call: (request, signal) =>
        call(request, signal).catch(() => Promise.reject(new WkfsError("TRANSPORT_UNREACHABLE", "no"))),
    })),
    [
      OFF,
      DIES,
      SILENT,
      "lets nobody with another secret reach the daemon",
      "says that a daemon broke off",
      "takes no reply of more than 64 KiB, and the others all the same",
    ],
  ],
  [
    "drops answers when it closes",
    (link, secret) => {
      const whole = link.transport(secret);
      let listening = false;
      return {
        ...whole,
        async listen(handler) {
          await whole.listen(handler);
          listening = true;
        },
        async close() {
          if (listening) link.kill();
          listening = false;
          await whole.close();
        },
      };
    },
    ["lets answers under way out before it closes, and is not there afterwards"],
  ],
  [
    "lets another daemon take its place",
    (link, secret) => {
      const whole = link.transport(secret);
      return {
        ...whole,
        async listen(handler) {
          link.kill();
          await whole.listen(handler);
        },
      };
    },
    ["lets no second daemon listen in the place of one that does"],
  ],
  [
    "answers one after the other",
    (() => {
      const queues = new WeakMap<MemoryLink, Promise<unknown>>();
      return (link, secret) => {
        const whole = link.transport(secret);
        return {
          ...whole,
          call(request, signal) {
            const mine = (queues.get(link) ?? Promise.resolve()).then(() => whole.call(request, signal));
            queues.set(
              link,
              mine.catch(() => {}),
            );
            return mine;
          },
        };
      };
    })(),
    [
      "carries a hundred calls at the same time, each to the daemon once and with its own answer",
      OFF,
      DIES,
      "leaves no call hanging when the gateway's side closes",
      "lets answers under way out before it closes, and is not there afterwards",
      "lets no slow call hold up fast ones",
    ],
    { timeLimit: 1500 },
  ],
  ["says nowhere where it listens", but(() => ({ addresses: [] })), ["names where daemons listen"]],
];

describe("the suite of transports finds a transport that", () => {
  it.each(BROKEN)("%s", async (_, breaking, expected, { timed, timeLimit } = {}) => {
    const { failed } = await verdictOf(suiteOf(breaking, timed), timeLimit);
    expect(Object.keys(failed).toSorted()).toEqual(expected.toSorted());
  });

  it("has no fault: it fails nothing and skips nothing", async () => {
    const { failed, skipped, passed } = await verdictOf(suiteOf((link, secret) => link.transport(secret)));
    expect({ failed, skipped }).toEqual({ failed: {}, skipped: [] });
    expect(passed).toBeGreaterThan(18);
  });
});
