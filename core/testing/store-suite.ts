import assert from "node:assert/strict";
import type { PendingNotification, Store, StoreChange } from "../src/contracts/store.ts";
import { parseAddress } from "../src/model/address.ts";
import { isWkfsError } from "../src/model/errors.ts";
import type { WkfsEvent } from "../src/model/event.ts";
import { type Lease, leaseId } from "../src/model/lease.ts";
import { Inapplicable, type TestRunner, check, needed } from "./runner.ts";
import { type StoreProgram, killedWriter, stepOf } from "./store-writing.ts";

/** A place to store things in, and what is around it. What is optional makes more checks possible; without it they are skipped. */
export interface StoreUnderTest extends AsyncDisposable {
  /** Makes another store object over the same place, as a restart does. The suite opens it and closes it. */
  make(): Promise<Store>;
  /** Whether a store object finds what one before it wrote. */
  readonly persistent: boolean;
  /** Changes that the store must refuse, such as an event that has no JSON: for "all of it or nothing". */
  refused?(): readonly StoreChange[];
  /** Whether several processes may have the place open at the same time and all of them write. */
  readonly shared?: boolean;
  /** Ways in which what is stored may be damaged while no store has it open. */
  readonly damage?: Readonly<Record<string, () => Promise<void>>>;
  /** How another process makes a store over this place: it is killed while it writes. */
  readonly program?: StoreProgram;
}

const NOW = Date.UTC(2026, 0, 1);
/** What no store may trip over: quotes, SQL, markup, other scripts, controls, and text that looks like another type. */
const HOSTILE = [
  "",
  " ",
  "'; DROP TABLE leases; --",
  '"quoted" \\ back\\slash',
  "line\r\nbreak\ttab\u0000nul\u001B[31m",
  "\u2028\u202E\uFEFF",
  "ü 漢字 😀",
  "null",
  "0",
  "1e400",
  "__proto__",
  "{}",
  "%s ${x} $(x)",
  "x".repeat(65_536),
  "漢".repeat(21_846),
];

/** What the contract `Store` promises, as tests. Each gets a place of its own from `prepare`, with nothing in it. */
export function storeSuite(name: string, runner: TestRunner, prepare: () => Promise<StoreUnderTest>): void {
  runner.describe(`${name} keeps the store contract:`, () => {
    const test = (
      what: string,
      body: (store: Store, again: () => Promise<Store>, subject: StoreUnderTest) => Promise<void>,
    ): void =>
      check(runner, what, async () => {
        await using subject = await prepare();
        let store = await subject.make();
        const again = async (): Promise<Store> => {
          if (!subject.persistent) return store;
          await store.close();
          store = await subject.make();
          await store.open();
          return store;
        };
        try {
          await store.open();
          await body(store, again, subject);
        } finally {
          await store.close();
        }
      });

    check(runner, "refuses before it is opened, and closes all the same", async () => {
      await using subject = await prepare();
      const store = await subject.make();
      await expectRefusal(store);
      await store.close();
    });

    test("a new one is empty", async (store, again) => {
      const expectEmpty = async (one: Store): Promise<void> => {
        assert.deepEqual(await one.leases(), []);
        assert.deepEqual(await one.history({ limit: 10 }), []);
        assert.deepEqual(await one.pending("mail", 10), []);
      };
      await expectEmpty(store);
      await expectEmpty(await again());
    });

    test("leases are read as they were put, ended ones too", async (store, again) => {
      const leases = [
        lease(1, { openedAt: NOW + 0.25, deadline: NOW + 600_000.125 }),
        lease(2, { port: { protocol: "udp", number: 65_535 } }),
        lease(3, { port: { protocol: "tcp", number: 1 }, deadline: NOW - 1 }),
        lease(4, { address: parseAddress("fd91::2") }),
        lease(5, { address: parseAddress("2001:db8:0:1:1:1:1:1") }),
        lease(6, { address: { family: "ipv6", text: "2001:db8::", length: 64 } }),
        lease(6, { address: parseAddress("2001:db8::") }),
      ];
      await store.write({ put: leases });
      await expectLeases(store, leases);
      await expectLeases(await again(), leases);
    });

    test("a lease with the same key replaces the one before; one with another key does not", async (store, again) => {
      const first = lease(1);
      const others = [
        lease(1, { port: { protocol: "udp", number: 22 } }),
        lease(1, { port: { protocol: "tcp", number: 23 } }),
        lease(2),
      ];
      const renewed = lease(1, { client: "other", deadline: NOW + 900_000 });
      await store.write({ put: [first, ...others] });
      await store.write({ put: [renewed] });
      await expectLeases(await again(), [renewed, ...others]);
    });

    test("removing removes by the key alone, and what is not there is no error", async (store, again) => {
      await store.write({ put: [lease(1), lease(2), lease(3)] });
      await store.write({ remove: [lease(1, { deadline: 0, client: "other" }), lease(9)] });
      await store.write({ remove: [lease(1)] });
      await expectLeases(await again(), [lease(2), lease(3)]);
    });

    test("what one change both removes and puts is there afterwards", async (store, again) => {
      const back = lease(1, { deadline: NOW + 1 });
      await store.write({ put: [lease(1)] });
      await store.write({ remove: [lease(1), lease(2)], put: [back, lease(2)] });
      await expectLeases(await again(), [back, lease(2)]);
    });

    test("an empty change changes nothing", async (store) => {
      await store.write({ put: [lease(1)] });
      await store.write({});
      await store.write({ put: [], remove: [], append: [], enqueue: [], dequeue: [] });
      await expectLeases(store, [lease(1)]);
    });

    test("writes are applied in the order of their calls, whoever waits for them", async (store, again) => {
      const writes = Array.from({ length: 50 }, (_, at) =>
        store.write({ put: [lease(1, { deadline: NOW + at })], append: [started(NOW, at)] }),
      );
      await Promise.all(writes);
      const next = await again();
      await expectLeases(next, [lease(1, { deadline: NOW + 49 })]);
      const history = await next.history({ limit: 100 });
      assert.deepEqual(history, writes.map((_, at) => started(NOW, at)).toReversed());
    });

    test("all of a change or nothing", async (store, again, subject) => {
      await store.write({ put: [lease(1)], append: [started(NOW)], enqueue: [waiting("a")] });
      for (const bad of needed(subject.refused, "refused").call(subject)) {
        const write = store.write({
          put: [lease(2), ...(bad.put ?? [])],
          remove: [lease(1)],
          append: [started(NOW + 1), ...(bad.append ?? [])],
          enqueue: [waiting("b"), ...(bad.enqueue ?? [])],
          dequeue: ["a"],
        });
        await rejects(write);
      }
      const next = await again();
      await expectLeases(next, [lease(1)]);
      assert.deepEqual(await next.history({ limit: 10 }), [started(NOW)]);
      assert.deepEqual(await next.pending("mail", 10), [waiting("a")]);
      await next.write({ put: [lease(3)] });
      await expectLeases(next, [lease(1), lease(3)]);
    });

    test("ten thousand leases are one write", async (store, again) => {
      const leases = Array.from({ length: 10_000 }, (_, host) => lease(host));
      await store.write({ put: leases });
      const next = await again();
      await expectLeases(next, leases);
      await next.write({ remove: leases.slice(1) });
      await expectLeases(next, leases.slice(0, 1));
    });

    test("events of every type come back as they were", async (store, again) => {
      const events: WkfsEvent[] = [
        { type: "opened", time: NOW + 0.5, leases: [lease(1), lease(2)] },
        { type: "renewed", time: NOW, leases: [lease(1)] },
        { type: "expired", time: NOW, leases: [] },
        { type: "closed", time: NOW, leases: [lease(1)], by: "root" },
        { type: "closed", time: NOW, leases: [], by: "@hand" },
        {
          type: "refused",
          time: NOW,
          client: "phone",
          address: lease(1).address,
          ports: [lease(1).port],
          reason: "no_ports",
        },
        {
          type: "refused",
          time: NOW,
          client: undefined,
          address: lease(1).address,
          ports: [],
          reason: "unknown_client",
        },
        { type: "healed", time: NOW, firewall: "iptables", found: ["the chain wkfs is gone"] },
        { type: "failed", time: NOW, firewall: "all", what: "closing failed" },
        { type: "started", time: NOW, leases: 3 },
        { type: "stopped", time: NOW },
      ];
      await store.write({ append: events, enqueue: events.map((event, at) => ({ ...waiting(`n${at}`), event })) });
      const next = await again();
      assert.deepEqual(plain(await next.history({ limit: 100 })), plain(events.toReversed()));
      const pending = await next.pending("mail", 100);
      assert.deepEqual(plain(pending.map(({ event }) => event)), plain(events));
    });

    test("history is newest first, as many as asked for, none older than asked for", async (store, again) => {
      for (let at = 0; at < 10; at += 1) await store.write({ append: [started(NOW + at * 1000, at)] });
      const next = await again();
      const numbers = async (query: { since?: number; limit: number }): Promise<unknown[]> =>
        (await next.history(query)).map((event) => (event.type === "started" ? event.leases : event));
      assert.deepEqual(await numbers({ limit: 3 }), [9, 8, 7]);
      assert.deepEqual(await numbers({ limit: 100, since: NOW + 7000 }), [9, 8, 7]);
      assert.deepEqual(await numbers({ limit: 1, since: NOW + 7000 }), [9]);
      assert.deepEqual(await numbers({ limit: 100, since: NOW + 9001 }), []);
      assert.deepEqual(await numbers({ limit: 0 }), []);
    });

    test("events of one moment, and of a clock that was set back, stay in the order of their appending", async (store, again) => {
      await store.write({ append: [started(NOW, 1), started(NOW, 2), started(NOW - 5000, 3)] });
      await store.write({ append: [started(NOW, 4)] });
      const history = await (await again()).history({ limit: 10 });
      assert.deepEqual(history, [started(NOW, 4), started(NOW - 5000, 3), started(NOW, 2), started(NOW, 1)]);
    });

    test("forgetting drops history that is older, and nothing else", async (store, again) => {
      const events = [started(NOW - 1), started(NOW), started(NOW + 1)];
      await store.write({ put: [lease(1)], append: events, enqueue: [waiting("a", "mail", started(NOW - 1))] });
      await store.write({ forgetBefore: NOW });
      const next = await again();
      assert.deepEqual(await next.history({ limit: 10 }), [started(NOW + 1), started(NOW)]);
      await expectLeases(next, [lease(1)]);
      assert.equal((await next.pending("mail", 10)).length, 1);
      await next.write({ append: [started(NOW + 2)], forgetBefore: NOW + 2 });
      assert.deepEqual(await next.history({ limit: 10 }), [started(NOW + 2)]);
    });

    test("notifications wait for their notifier alone, oldest first, as many as asked for", async (store, again) => {
      await store.write({ enqueue: [waiting("b"), waiting("x", "chat"), waiting("a")] });
      await store.write({ enqueue: [waiting("c")] });
      const next = await again();
      assert.deepEqual(await next.pending("mail", 10), [waiting("b"), waiting("a"), waiting("c")]);
      assert.deepEqual(await next.pending("mail", 2), [waiting("b"), waiting("a")]);
      assert.deepEqual(await next.pending("chat", 10), [waiting("x", "chat")]);
      assert.deepEqual(await next.pending("mai", 10), []);
      assert.deepEqual(await next.pending("mail", 0), []);
    });

    test("what is dequeued waits no more, and dequeuing what is unknown is no error", async (store, again) => {
      await store.write({ enqueue: [waiting("a"), waiting("b"), waiting("c")] });
      await store.write({ dequeue: ["b", "nobody"] });
      await store.write({ dequeue: ["b"], enqueue: [waiting("d")] });
      assert.deepEqual(await (await again()).pending("mail", 10), [waiting("a"), waiting("c"), waiting("d")]);
    });

    test("hostile text stays text", async (store, again) => {
      const leases = HOSTILE.map((client, host) => lease(host, { client }));
      const events = HOSTILE.map((what): WkfsEvent => ({ type: "failed", time: NOW, firewall: what, what }));
      const pending = HOSTILE.map((text) => waiting(`id${text}`, `to${text}`, started(NOW)));
      await store.write({ put: leases, append: events, enqueue: pending });
      const next = await again();
      await expectLeases(next, leases);
      assert.deepEqual(await next.history({ limit: 100 }), events.toReversed());
      for (const one of pending) assert.deepEqual(await next.pending(one.notifier, 10), [one]);
      await next.write({ dequeue: pending.map(({ id }) => id), remove: leases });
      for (const one of pending) assert.deepEqual(await next.pending(one.notifier, 10), []);
      await expectLeases(next, []);
    });

    test("what resolved is on disk: a store that was never closed loses nothing", async (store, _, subject) => {
      if (!subject.persistent) throw new Inapplicable("it does not keep");
      for (let at = 0; at < 3; at += 1) {
        await store.write({ put: [lease(at)], append: [started(NOW, at)], enqueue: [waiting(`n${at}`)] });
        // As the next process after kill -9 does.
        const next = await subject.make();
        await next.open();
        await expectLeases(
          next,
          Array.from({ length: at + 1 }, (_lease, host) => lease(host)),
        );
        assert.equal((await next.history({ limit: 10 })).length, at + 1);
        assert.equal((await next.pending("mail", 10)).length, at + 1);
        await next.close();
        await store.open();
      }
    });

    test("a write under way when it is closed is kept, or refused, and nothing between", async (store, again, subject) => {
      if (!subject.persistent) throw new Inapplicable("it does not keep");
      const write = store.write({ put: [lease(1), lease(2)], append: [started(NOW)] });
      const [outcome] = await Promise.allSettled([write, store.close()]);
      const next = await again();
      const kept = outcome.status === "fulfilled";
      await expectLeases(next, kept ? [lease(1), lease(2)] : []);
      assert.equal((await next.history({ limit: 10 })).length, kept ? 1 : 0);
    });

    test("two at a time write into one place, and none loses what is written", async (store, again, subject) => {
      if (subject.shared !== true) throw new Inapplicable("it is for one process at a time");
      const other = await subject.make();
      await other.open();
      const hosts = Array.from({ length: 20 }, (_, at) => at);
      await Promise.all(
        hosts.map((at) => (at % 2 === 0 ? store : other).write({ put: [lease(at)], append: [started(NOW, at)] })),
      );
      await store.write({ remove: [lease(1)] });
      await expectLeases(
        other,
        hosts.filter((at) => at !== 1).map((at) => lease(at)),
      );
      await other.close();
      const next = await again();
      await expectLeases(
        next,
        hosts.filter((at) => at !== 1).map((at) => lease(at)),
      );
      assert.equal((await next.history({ limit: 100 })).length, 20);
    });

    test("a process that is killed while it writes leaves all that was written, and nothing torn", async (store, again, subject) => {
      const program = needed(subject.program, "program");
      let last = -1;
      for (const [after, delay] of [
        [1, 0],
        [3, 1],
        [10, 2],
        [40, 4],
      ] as const) {
        await store.close();
        const acknowledged = await killedWriter(program, last + 1, last + after, delay);
        const next = await again();
        const [newest] = await next.history({ limit: 1 });
        last = newest?.type === "started" ? newest.leases : -1;
        assert.ok(last >= acknowledged, `${acknowledged} was written, and ${last} is there`);
        const { put = [], append = [], enqueue = [] } = stepOf(last);
        await expectLeases(next, put);
        assert.deepEqual(await next.history({ limit: 1 }), append);
        assert.equal((await next.history({ limit: 100_000 })).length, last + 1);
        assert.deepEqual(await next.pending("mail", 10), enqueue);
        store = next;
      }
    });

    check(runner, "a damaged one is reported, and never read as an empty one", async () => {
      await using first = await prepare();
      for (const what of Object.keys(needed(first.damage, "damage"))) {
        await using subject = await prepare();
        const store = await subject.make();
        await store.open();
        await store.write({ put: [lease(1), lease(2)], append: [started(NOW)], enqueue: [waiting("a")] });
        await store.close();
        await subject.damage![what]!();
        const next = await subject.make();
        const found = next.open().then(() => next.leases());
        try {
          await assert.rejects(found, (error) => isWkfsError(error, "STORE_FAILED"), what);
        } finally {
          await next.close();
        }
      }
    });

    test("close is idempotent, and a closed one refuses", async (store) => {
      await store.close();
      await store.close();
      await expectRefusal(store);
    });
  });
}

/** Of a store that is not open. */
async function expectRefusal(store: Store): Promise<void> {
  await rejects(store.leases());
  await rejects(store.write({ put: [lease(1)] }));
  await rejects(store.history({ limit: 1 }));
  await rejects(store.pending("mail", 1));
}

function lease(host: number, parts: Partial<Lease> = {}): Lease {
  return {
    address: parseAddress(`10.9.${host >> 8}.${host & 255}`),
    port: { protocol: "tcp", number: 22 },
    client: "suite",
    openedAt: NOW,
    deadline: NOW + 600_000,
    ...parts,
  };
}

function started(time: number, leases = 0): WkfsEvent {
  return { type: "started", time, leases };
}

function waiting(id: string, notifier = "mail", event = started(NOW)): PendingNotification {
  return { id, notifier, event };
}

async function expectLeases(store: Store, leases: readonly Lease[]): Promise<void> {
  const sorted = (list: readonly Lease[]): Lease[] => list.toSorted((a, b) => (leaseId(a) < leaseId(b) ? -1 : 1));
  const [found, wanted] = [sorted(await store.leases()), sorted(leases)];
  // One after the other: the difference between two long lists takes minutes to print.
  assert.equal(found.length, wanted.length);
  for (const [at, one] of wanted.entries()) assert.deepEqual(found[at], one);
}

/** As JSON has it, where a member that is undefined is none. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

async function rejects(call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(isWkfsError(error, "STORE_FAILED"), `no STORE_FAILED: ${String(error)}`);
    return true;
  });
}
