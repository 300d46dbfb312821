import { type EventType, type Notification, type WkfsEvent, WkfsError } from "@wkfs/core";
import { FakeClock, MemoryStore, RecordingNotifier, settle } from "@wkfs/core/testing";
import { describe, expect, it, vi } from "vitest";
import { TestDaemon } from "./support/daemon.ts";

describe("notifications", () => {
  const notifier = (notify: (notification: Notification, signal: AbortSignal) => Promise<void>) => [
    { name: "n", plugin: { notify, close: async () => {} } },
  ];

  it("tell of an opening and not of a renewal, and nobody waits for them", async () => {
    const told: Notification[] = [];
    const held = Promise.withResolvers<void>();
    await using own = await TestDaemon.start({
      notifiers: notifier(async (notification) => (told.push(notification), await held.promise)),
    });
    expect(await own.ask()).toMatchObject({ success: true });
    expect(await own.ask()).toMatchObject({ success: true });
    await settle();
    expect(told.map(({ events }) => events.map(({ type }) => type))).toEqual([["opened"]]);
    expect(own.store.waiting.size).toBe(1);
    held.resolve();
    await settle();
    expect(own.store.waiting.size).toBe(0);
  });

  it("go to each notifier by its own choice of events", async () => {
    const told: Record<string, string[]> = { doors: [], noise: [] };
    const listener = (name: string, events: EventType[]) => ({
      name,
      events,
      plugin: {
        notify: async (notification: Notification) =>
          void told[name]!.push(...notification.events.map(({ type }) => type)),
        close: async () => {},
      },
    });
    const noise: EventType[] = ["started", "renewed", "refused", "expired"];
    await using own = await TestDaemon.start({ notifiers: [listener("doors", ["opened"]), listener("noise", noise)] });
    await own.ask({ time: 10 });
    await own.advance(1000);
    await own.ask({ time: 10 });
    await own.ask({ ports: [{ proto: "TCP", num: 23 }] });
    await own.advance(120_000);
    expect(told).toEqual({ doors: ["opened"], noise });
  });

  it("are tried again with growing pauses, and come as one message when many waited", async () => {
    const told: Notification[] = [];
    let down = true;
    await using own = await TestDaemon.start({
      notifiers: notifier(async (notification) => {
        told.push(notification);
        if (down) throw new WkfsError("NOTIFY_FAILED", "down");
      }),
    });
    for (let host = 1; host <= 60; host += 1) await own.ask({ ip: `10.3.0.${host}` });
    await own.advance(60_000);
    const tries = told.length;
    expect(tries).toBeGreaterThanOrEqual(5);
    expect(tries).toBeLessThanOrEqual(8);
    down = false;
    await own.advance(120_000);
    expect(told.slice(tries).map(({ events }) => events.length)).toEqual([1, 59]);
    expect(own.store.waiting.size).toBe(0);
  });

  it("become a digest when they come as a flood: five at once, then one a minute with all that came", async () => {
    const told: Notification[] = [];
    await using own = await TestDaemon.start({
      notifiers: notifier(async (notification) => void told.push(notification)),
    });
    const sizes = () => told.map(({ events }) => events.length);
    for (let host = 1; host <= 200; host += 1) await own.ask({ ip: `10.3.0.${host}` });
    await settle();
    expect(sizes()).toEqual([1, 1, 1, 1, 1]);
    await own.advance(59_000);
    expect(told).toHaveLength(5);
    await own.advance(1000);
    expect(sizes()).toEqual([1, 1, 1, 1, 1, 195]);
    expect(own.store.waiting.size).toBe(0);
    // One more waits for its minute, and after quiet ones five are free again.
    await own.ask({ ip: "10.4.0.1" });
    await settle();
    expect(told).toHaveLength(6);
    await own.advance(60_000);
    expect(told).toHaveLength(7);
    await own.advance(600_000);
    for (let host = 1; host <= 5; host += 1) await own.ask({ ip: `10.5.0.${host}` });
    await settle();
    expect(told).toHaveLength(12);
  });

  it("survive a restart, and keep their id", async () => {
    const clock = new FakeClock();
    const store = new MemoryStore();
    const ids: string[] = [];
    const first = await TestDaemon.start({
      clock,
      store,
      notifiers: notifier(async ({ id }) => (ids.push(id), Promise.reject(new WkfsError("NOTIFY_FAILED", "down")))),
    });
    await first.ask();
    await settle();
    await first.daemon.stop();
    expect(store.waiting.size).toBe(1);
    await using _ = await TestDaemon.start({ clock, store, notifiers: notifier(async ({ id }) => void ids.push(id)) });
    await settle();
    expect(ids.length).toBe(2);
    expect(ids[0]).toBe(ids[1]);
    expect(store.waiting.size).toBe(0);
  });

  it("that are refused for good are dropped with an error in the log", async () => {
    await using own = await TestDaemon.start({
      notifiers: notifier(async () => Promise.reject(new WkfsError("NOTIFY_REJECTED", "no such user"))),
    });
    await own.ask();
    await settle();
    expect(own.store.waiting.size).toBe(0);
    expect(own.log).toContainEqual(
      expect.objectContaining({ level: "error", data: expect.objectContaining({ notifier: "n" }) }),
    );
  });

  it("are broken off when the daemon stops", async () => {
    const own = await TestDaemon.start({
      notifiers: notifier(
        (_, signal) => new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
      ),
    });
    await own.ask();
    await settle();
    await own.stop();
    expect(own.store.waiting.size).toBe(1);
  });
});

describe("what waits for a receiver that is down for long", () => {
  const fail = () => Promise.reject(new WkfsError("NOTIFY_FAILED", "down"));
  const recorded = () => ({ name: "n", plugin: new RecordingNotifier(), events: ["opened"] as EventType[] });
  const timesOf = (events: readonly WkfsEvent[]) => events.map(({ time }) => time);

  /** A store with so many notifications, of the times 1, 2 and so on, by which they are told apart. */
  function storeWith(count: number): MemoryStore {
    const store = new MemoryStore();
    for (let time = 1; time <= count; time += 1) {
      const id = `old ${time}`;
      store.waiting.set(id, { id, notifier: "n", event: { type: "opened", time, leases: [] } });
    }
    return store;
  }

  it("is read from the store in pieces, each told once and in order", async () => {
    const store = storeWith(25_000);
    const asked = vi.spyOn(store, "pending");
    const some = recorded();
    await using own = await TestDaemon.start({ store, notifiers: [some] });
    await own.ask();
    await settle();
    expect(some.plugin.told.map(({ events }) => events.length)).toEqual([10_000, 10_000, 5001]);
    expect(timesOf(some.plugin.events).slice(0, -1)).toEqual(Array.from({ length: 25_000 }, (_, at) => at + 1));
    expect(store.waiting.size).toBe(0);
    expect(Math.max(...asked.mock.calls.map(([, limit]) => limit))).toBeLessThan(20_002);
  });

  it("is held by the store alone beyond the next message", async () => {
    const store = storeWith(9_999);
    const some = recorded();
    some.plugin.onNotify = fail;
    await using own = await TestDaemon.start({ store, notifiers: [some] });
    for (const ip of ["10.91.0.2", "10.91.0.3", "10.91.0.4"]) await own.ask({ ip });
    // What is told of the last two is what the store says: nothing else has them.
    const [, second, third] = [...store.waiting.values()].slice(9_999);
    for (const { id } of [second!, third!]) {
      const kept = store.waiting.get(id)!;
      store.waiting.set(id, { ...kept, event: { ...kept.event, time: 77 } });
    }
    some.plugin.onNotify = async () => {};
    await own.advance(2000);
    expect(some.plugin.told.map(({ events }) => events.length)).toEqual([9_999, 1, 2]);
    expect(timesOf(some.plugin.told[2]!.events)).toEqual([77, 77]);
    expect(store.waiting.size).toBe(0);
  });

  it("is not told while the packet filter may still refuse it", async () => {
    const store = storeWith(10_001);
    const some = recorded();
    const first = Promise.withResolvers<void>();
    some.plugin.onNotify = () => first.promise;
    await using own = await TestDaemon.start({ store, notifiers: [some] });
    const applied = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    own.firewalls[0]!.onApply = async () => {
      asked.resolve();
      await applied.promise;
      throw new WkfsError("FIREWALL_FAILED", "told to fail");
    };
    const answer = own.ask({ time: 10 });
    await asked.promise;
    first.resolve();
    await settle();
    applied.resolve();
    expect(await answer).toMatchObject({ success: false });
    own.firewalls[0]!.onApply = () => {};
    await settle();
    expect(timesOf(some.plugin.events)).toEqual(Array.from({ length: 10_001 }, (_, at) => at + 1));
    expect(store.waiting.size).toBe(0);
  });

  it("comes once, also when the store would neither forget nor give it for a while", async () => {
    const store = storeWith(20_001);
    const some = recorded();
    await using own = await TestDaemon.create({ store, notifiers: [some] });
    let refusals = 1;
    store.onWrite = ({ dequeue }) => {
      if (dequeue !== undefined && refusals-- > 0) throw new WkfsError("STORE_FAILED", "told to fail");
    };
    await own.daemon.start();
    const reads = vi.spyOn(store, "pending").mockRejectedValueOnce(new WkfsError("STORE_FAILED", "told to fail"));
    await settle();
    // A store that fails is not asked again at once.
    expect(reads).toHaveBeenCalledTimes(1);
    await own.advance(5000);
    expect(timesOf(some.plugin.events)).toEqual(Array.from({ length: 20_001 }, (_, at) => at + 1));
    expect(store.waiting.size).toBe(0);
  });

  it("is not begun anew by a stop: what is on its way arrives, and the next start tells the rest", async () => {
    const store = storeWith(30_000);
    const some = recorded();
    const taken = Promise.withResolvers<void>();
    some.plugin.onNotify = () => taken.promise;
    const own = await TestDaemon.start({ store, notifiers: [some] });
    const reads = vi.spyOn(store, "pending");
    const stopping = own.daemon.stop();
    await settle();
    taken.resolve();
    await stopping;
    expect(some.plugin.told.map(({ events }) => events.length)).toEqual([10_000]);
    expect(reads).not.toHaveBeenCalled();
    expect(store.waiting.size).toBe(20_000);
    expect(own.clock.waiting).toBe(0);
  });
});
