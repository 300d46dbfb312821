import { type EventType, EVENT_TYPES, type Notifier, type WkfsEvent, WkfsError } from "@wkfs/core";
import { FakeClock, MemoryFirewall, MemoryStore, RecordingNotifier, settle } from "@wkfs/core/testing";
import { describe, expect, it, vi } from "vitest";
import { TestDaemon } from "./support/daemon.ts";

const typesOf = (events: readonly WkfsEvent[]) => events.map(({ type }) => type);
const recorded = (name: string, events?: EventType[]) => {
  const plugin = new RecordingNotifier();
  return { name, plugin, ...(events && { events }) };
};

/** All types but `closed`, which is what an administrator does over the control socket. */
const HAPPENING = EVENT_TYPES.filter((type) => type !== "closed");

/** A run in which everything happens that can be told. */
async function everything(notifiers: NonNullable<Parameters<typeof TestDaemon.start>[0]>["notifiers"]) {
  const own = await TestDaemon.start({ ...(notifiers && { notifiers }) });
  await own.ask({ time: 10 });
  await own.advance(1000);
  await own.ask({ time: 10 });
  await own.ask({ ports: [{ proto: "TCP", num: 23 }] });
  const firewall = own.firewalls[0]!;
  firewall.onApply = ({ close }) => {
    if (close.length > 0) throw new WkfsError("FIREWALL_FAILED", "told to fail");
  };
  await own.advance(12_000);
  firewall.onApply = () => {};
  await own.advance(2000);
  firewall.missing = ["the jump from INPUT"];
  await own.advance(120_000);
  await own.stop();
  return own;
}

describe("each type of event", () => {
  it.each(HAPPENING)("%s reaches who asked for it, and nobody else", async (type) => {
    const [one, all, other] = [
      recorded("one", [type]),
      recorded("all", [...EVENT_TYPES]),
      recorded(
        "other",
        EVENT_TYPES.filter((some) => some !== type),
      ),
    ];
    const own = await everything([one, all, other]);
    expect(new Set(typesOf(one.plugin.events))).toEqual(new Set([type]));
    expect(new Set(typesOf(all.plugin.events))).toEqual(new Set(HAPPENING));
    expect(typesOf(other.plugin.events)).toEqual(typesOf(all.plugin.events).filter((some) => some !== type));
    expect(own.store.waiting.size).toBe(0);
  });

  it("of which nothing is said is told when it is worth a message", async () => {
    const some = recorded("some");
    await everything([some]);
    expect(new Set(typesOf(some.plugin.events))).toEqual(new Set(["opened", "failed", "healed"]));
  });

  it("is durable before it is told, a refusal too", async () => {
    const kept: boolean[] = [];
    const store = new MemoryStore();
    const plugin: Notifier = {
      notify: async ({ id }) => void kept.push(store.waiting.has(id)),
      close: async () => {},
    };
    await using own = await TestDaemon.start({ store, notifiers: [{ name: "n", plugin, events: ["refused"] }] });
    await own.ask({ ports: [{ proto: "TCP", num: 23 }] });
    await settle();
    expect(kept).toEqual([true]);
  });

  it("that happened while no daemon ran is told by the next one", async () => {
    const clock = new FakeClock();
    const store = new MemoryStore();
    const first = await TestDaemon.start({ clock, store });
    await first.ask({ time: 10 });
    await first.daemon.stop();
    await clock.advance(11_000);
    const some = recorded("some", ["expired"]);
    await using _ = await TestDaemon.start({ clock, store, notifiers: [some] });
    await settle();
    expect(some.plugin.events).toMatchObject([{ type: "expired", leases: [{ address: { text: "10.91.0.2" } }] }]);
    expect(store.waiting.size).toBe(0);
  });
});

describe("a stop", () => {
  it("is told before the daemon is gone, by a notifier that takes its time", async () => {
    const told: string[] = [];
    const reached = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    const plugin: Notifier = {
      async notify({ events }, signal) {
        reached.resolve();
        await answered.promise;
        if (!signal.aborted) told.push(...typesOf(events));
      },
      close: async () => void told.push("closed"),
    };
    const own = await TestDaemon.start({ notifiers: [{ name: "n", plugin, events: ["stopped"] }] });
    const stopping = own.daemon.stop();
    await reached.promise;
    await own.advance(4999);
    answered.resolve();
    await stopping;
    expect(told).toEqual(["stopped", "closed"]);
    expect(own.store.waiting.size).toBe(0);
    expect(own.clock.waiting).toBe(0);
  });

  it("waits five seconds and no longer, and is told at the next start", async () => {
    const clock = new FakeClock();
    const store = new MemoryStore();
    const slow: Notifier = {
      notify: (_, signal) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
      close: async () => {},
    };
    const events: EventType[] = ["stopped"];
    const first = await TestDaemon.start({ clock, store, notifiers: [{ name: "n", plugin: slow, events }] });
    const stopping = first.daemon.stop();
    await settle();
    await first.advance(4999);
    expect(first.daemon.status).toBe("stopping");
    await first.advance(1);
    await stopping;
    expect(clock.waiting).toBe(0);
    const then = { ...recorded("n"), events };
    await using _ = await TestDaemon.start({ clock, store, notifiers: [then] });
    await settle();
    expect(typesOf(then.plugin.events)).toEqual(["stopped"]);
  });

  it("does not wait for a receiver that is down, and is told when it is back", async () => {
    const clock = new FakeClock();
    const store = new MemoryStore();
    const down = recorded("n", ["started", "stopped"]);
    down.plugin.onNotify = () => Promise.reject(new WkfsError("NOTIFY_FAILED", "down"));
    const first = await TestDaemon.start({ clock, store, notifiers: [down] });
    await settle();
    await first.daemon.stop();
    const then = recorded("n", ["started", "stopped"]);
    await using _ = await TestDaemon.start({ clock, store, notifiers: [then] });
    await settle();
    expect(typesOf(then.plugin.events).toSorted()).toEqual(["started", "started", "stopped"]);
  });

  it("keeps no door open: the packet filter is let go before anybody is waited for", async () => {
    const clock = new FakeClock();
    const firewall = new MemoryFirewall({ clock, capabilities: { expiry: "core" } });
    const silent = recorded("n", ["stopped"]);
    silent.plugin.onNotify = () => new Promise(() => {});
    const own = await TestDaemon.start({ clock, firewalls: [firewall], notifiers: [silent] });
    await own.ask();
    const stopping = own.daemon.stop();
    await settle();
    expect({ released: firewall.released, open: firewall.kernel.size }).toEqual({ released: true, open: 0 });
    await own.advance(7000);
    await stopping;
  });
});

const BAD: Readonly<Record<string, () => Promise<void>>> = {
  "that fails": () => Promise.reject(new WkfsError("NOTIFY_FAILED", "down")),
  "that throws what is no error of ours": () => Promise.reject(new TypeError("x is not a function")),
  "that throws before there is a promise": () => {
    throw new TypeError("x is not a function");
  },
  "that never answers and hears no signal": () => new Promise(() => {}),
};

describe("a notifier", () => {
  it.each(Object.entries(BAD))("%s delays no knock, no other notifier and no stop", async (_, notify) => {
    const bad = { name: "bad", plugin: { notify, close: async () => {} }, events: [...EVENT_TYPES] };
    const good = recorded("good", [...EVENT_TYPES]);
    const own = await TestDaemon.start({ notifiers: [bad, good] });
    // No time passes: nobody waited for anything.
    expect(await own.ask()).toMatchObject({ success: true });
    await settle();
    expect(typesOf(good.plugin.events)).toEqual(["started", "opened"]);
    const stopping = own.daemon.stop();
    await settle();
    expect(typesOf(good.plugin.events)).toEqual(["started", "opened", "stopped"]);
    expect(good.plugin.closed).toBe(true);
    await own.advance(7000);
    await stopping;
    expect([...own.store.waiting.values()].map(({ notifier }) => notifier)).toEqual(["bad", "bad", "bad"]);
    expect(own.clock.waiting).toBe(0);
  });

  it("that changes what it is told changes it for nobody else", async () => {
    const vandal: Notifier = {
      async notify({ events }) {
        const [event] = events as unknown as [{ leases: { deadline: number; client: string }[] }];
        event.leases[0]!.deadline = 0;
        event.leases[0]!.client = "nobody";
        (events as unknown[]).length = 0;
      },
      close: async () => {},
    };
    const good = recorded("good");
    await using own = await TestDaemon.start({ notifiers: [{ name: "vandal", plugin: vandal }, good] });
    await own.ask();
    await own.advance(50);
    const leases = own.daemon.leases.all();
    expect(leases).toMatchObject([{ client: "default" }]);
    expect(good.plugin.events).toMatchObject([{ type: "opened", leases }]);
    expect(own.store.historyOnDisk.at(-1)).toMatchObject({ type: "opened", leases });
  });

  it("that cannot be closed is named, and everything else is closed all the same", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const hanging = { name: "hanging", plugin: { notify: async () => {}, close: () => new Promise<void>(() => {}) } };
      const good = recorded("good");
      const own = await TestDaemon.start({ notifiers: [hanging, good] });
      const stopping = own.daemon.stop().catch((error: Error) => error.message);
      await vi.advanceTimersByTimeAsync(2000);
      expect(await stopping).toMatch(/notifier hanging: close took longer than 2 s/);
      expect(good.plugin.closed).toBe(true);
      await expect(own.store.leases()).rejects.toMatchObject({ code: "STORE_FAILED" });
    } finally {
      vi.useRealTimers();
    }
  });
});
