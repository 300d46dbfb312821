import assert from "node:assert/strict";
import type { Notification, Notifier } from "../src/contracts/notifier.ts";
import { parseAddress } from "../src/model/address.ts";
import { isWkfsError } from "../src/model/errors.ts";
import type { WkfsEvent } from "../src/model/event.ts";
import type { Lease } from "../src/model/lease.ts";
import { type TestRunner, check, needed } from "./runner.ts";

/** A receiver of its own, and notifiers that tell it. The suite closes every notifier that it was given. */
export interface NotifierUnderTest extends AsyncDisposable {
  make(): Promise<Notifier>;
  /** How many messages the receiver has taken over until now. */
  received(): number;
  /** The text of each message that it has taken over, where the suite can see that: for whether it tells what happened. */
  messages?(): Promise<readonly string[]>;
  /** A notifier whose receiver is down. */
  unreachable(): Promise<Notifier>;
  /**
   * A notifier whose receiver never says that it took anything. `reached` is to be called when the receiver
   * hears of a message or a connection. The notifier's own time limit is beyond a second.
   */
  silent(reached: () => void): Promise<Notifier>;
  /** A notifier whose receiver refuses every message for good, where there can be one. */
  rejecting?(): Promise<Notifier>;
}

const NOW = Date.UTC(2026, 0, 1);
/** Milliseconds in which a call that was called off has to end. */
const PROMPT = 1000;

/** What the contract `Notifier` promises, as tests. Each gets a receiver of its own from `prepare`. */
export function notifierSuite(name: string, runner: TestRunner, prepare: () => Promise<NotifierUnderTest>): void {
  runner.describe(`${name} keeps the notifier contract:`, () => {
    const test = (
      what: string,
      body: (subject: NotifierUnderTest, keep: (made: Promise<Notifier>) => Promise<Notifier>) => Promise<void>,
    ): void =>
      check(runner, what, async () => {
        await using subject = await prepare();
        const made: Notifier[] = [];
        const keep = async (making: Promise<Notifier>): Promise<Notifier> => {
          const notifier = await making;
          made.push(notifier);
          return notifier;
        };
        try {
          await body(subject, keep);
        } finally {
          for (const notifier of made) await notifier.close();
        }
      });

    test("resolves when the receiver has taken it over, and not before", async (subject, keep) => {
      const notifier = await keep(subject.make());
      assert.equal(subject.received(), 0);
      await notifier.notify(notification("a"), never());
      assert.equal(subject.received(), 1);
    });

    test("tells several events in one message, of every type and many", async (subject, keep) => {
      const notifier = await keep(subject.make());
      await notifier.notify(notification("a", EVENTS), never());
      const many = Array.from({ length: 50 }, (): WkfsEvent => ({
        type: "opened",
        time: NOW,
        leases: manyLeases(100),
      }));
      await notifier.notify(notification("b", many), never());
      assert.equal(subject.received(), 2);
    });

    test("tells of every event of a message", async (subject, keep) => {
      const messages = needed(subject.messages, "messages");
      const notifier = await keep(subject.make());
      const events = [1, 2, 3].map((host): WkfsEvent => ({ type: "opened", time: NOW, leases: [lease(host)] }));
      await notifier.notify(notification("a", events), never());
      const [message = ""] = await messages.call(subject);
      for (const host of [1, 2, 3]) assert.ok(message.includes(lease(host).address.text), `nothing of event ${host}`);
    });

    test("leaves what it is told as it is", async (subject, keep) => {
      const notifier = await keep(subject.make());
      const told = notification("a", EVENTS);
      await notifier.notify(told, never());
      assert.deepEqual(told, notification("a", EVENTS));
    });

    test("two at a time each deliver, and one goes on when the other is closed", async (subject, keep) => {
      const [one, two] = [await keep(subject.make()), await keep(subject.make())];
      await Promise.all([one.notify(notification("a"), never()), two.notify(notification("b"), never())]);
      assert.equal(subject.received(), 2);
      await one.close();
      await two.notify(notification("c"), never());
      assert.equal(subject.received(), 3);
    });

    test("delivers whatever stands in an event", async (subject, keep) => {
      const notifier = await keep(subject.make());
      for (const [at, text] of HOSTILE.entries()) {
        const events: WkfsEvent[] = [
          { type: "opened", time: NOW, leases: [{ ...lease(1), client: text }] },
          { type: "failed", time: NOW, firewall: text, what: text },
        ];
        await notifier.notify({ id: `${at}${text}`, host: text, events: [events[at % 2]!] }, never());
      }
      assert.equal(subject.received(), HOSTILE.length);
    });

    test("delivers again what it delivered before, when it is asked to", async (subject, keep) => {
      const notifier = await keep(subject.make());
      await notifier.notify(notification("a"), never());
      await notifier.notify(notification("a"), never());
      assert.ok(subject.received() >= 1);
    });

    test("rejects with NOTIFY_FAILED when the receiver is down, each time", async (subject, keep) => {
      const notifier = await keep(subject.unreachable());
      await rejects(notifier.notify(notification("a"), never()), "NOTIFY_FAILED");
      await rejects(notifier.notify(notification("a"), never()), "NOTIFY_FAILED");
    });

    test("rejects with NOTIFY_REJECTED when it is refused for good", async (subject, keep) => {
      const notifier = await keep(needed(subject.rejecting, "rejecting").call(subject));
      await rejects(notifier.notify(notification("a"), never()), "NOTIFY_REJECTED");
    });

    test("ends promptly when it is called off", async (subject, keep) => {
      const reached = Promise.withResolvers<void>();
      const notifier = await keep(subject.silent(reached.resolve));
      const off = new AbortController();
      const failed = rejects(notifier.notify(notification("a"), off.signal), "NOTIFY_FAILED");
      await reached.promise;
      off.abort();
      const start = performance.now();
      await failed;
      assert.ok(performance.now() - start < PROMPT, "it went on after it was called off");
    });

    test("delivers nothing that was called off before", async (subject, keep) => {
      const notifier = await keep(subject.make());
      await rejects(notifier.notify(notification("a"), AbortSignal.abort()), "NOTIFY_FAILED");
      assert.equal(subject.received(), 0);
      await notifier.notify(notification("a"), never());
      assert.equal(subject.received(), 1);
    });

    test("close is idempotent, and needs no use before", async (subject, keep) => {
      const used = await keep(subject.make());
      await used.notify(notification("a"), never());
      const unused = await keep(subject.make());
      await Promise.all([used.close(), used.close(), unused.close()]);
      await Promise.all([used.close(), unused.close()]);
    });

    test("close leaves no call hanging", async (subject, keep) => {
      const reached = Promise.withResolvers<void>();
      const notifier = await keep(subject.silent(reached.resolve));
      const off = new AbortController();
      const call = notifier.notify(notification("a"), off.signal).catch(() => {});
      await reached.promise;
      off.abort();
      await Promise.all([call, notifier.close()]);
    });
  });
}

function lease(host: number): Lease {
  return {
    address: parseAddress(`10.9.${host >> 8}.${host & 255}`),
    port: { protocol: "tcp", number: 22 },
    client: "phone",
    openedAt: NOW,
    deadline: NOW + 600_000,
  };
}

function manyLeases(count: number): Lease[] {
  return Array.from({ length: count }, (_, host) => lease(host));
}

const EVENTS: readonly WkfsEvent[] = [
  { type: "opened", time: NOW + 0.5, leases: [lease(1), { ...lease(2), address: parseAddress("fd91::2") }] },
  { type: "renewed", time: NOW, leases: [lease(1)] },
  { type: "expired", time: NOW, leases: [] },
  { type: "closed", time: NOW, leases: [lease(1)], by: "root" },
  { type: "closed", time: NOW, leases: [], by: "@hand" },
  { type: "refused", time: NOW, client: undefined, address: lease(1).address, ports: [], reason: "unknown_client" },
  {
    type: "refused",
    time: NOW,
    client: "phone",
    address: lease(1).address,
    ports: [lease(1).port],
    reason: "no_ports",
  },
  { type: "healed", time: NOW, firewall: "iptables", found: ["the chain wkfs is gone", "the set wkfs-v4 is gone"] },
  { type: "failed", time: NOW, firewall: "all", what: "closing 1 ended lease failed" },
  { type: "started", time: NOW, leases: 3 },
  { type: "stopped", time: NOW },
];

/** What would break out of a header, a line, a shell, a page or a format. */
const HOSTILE: readonly string[] = [
  "",
  "a\r\nBcc: eve@example.org\r\n\r\nbody",
  "a\n.\nQUIT\n",
  ".",
  "\u0000\u001B[31m\u0085\u2028\u202E",
  "=?utf-8?B?QmNj?= <eve@example.org>, b",
  '"\\ <script>alert(1)</script> $(x) `x` %s {{x}}',
  "ü 漢字 😀 \uD800",
  "x".repeat(5000),
];

function notification(id: string, events: readonly WkfsEvent[] = EVENTS.slice(0, 1)): Notification {
  return { id, host: "gw1.example.org", events: structuredClone(events) };
}

function never(): AbortSignal {
  return AbortSignal.timeout(25_000);
}

/** Whether it is awaited at once or later: a failure is that of the check which awaits it, and never an unhandled one. */
function rejects(call: Promise<unknown>, code: "NOTIFY_FAILED" | "NOTIFY_REJECTED"): Promise<void> {
  const checked = assert.rejects(call, (error) => {
    assert.ok(isWkfsError(error), `no WkfsError: ${String(error)}`);
    assert.equal(error.code, code, error.message);
    return true;
  });
  checked.catch(() => {});
  return checked;
}
