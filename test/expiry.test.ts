import { type FirewallCapabilities, type Notification, WkfsError } from "@wkfs/core";
import { FakeClock, MemoryFirewall, MemoryStore, settle } from "@wkfs/core/testing";
import { describe, expect, it, vi } from "vitest";
import { TestDaemon } from "./support/daemon.ts";

const TCP22 = { proto: "TCP", num: 22 };
const failing = (code: "FIREWALL_FAILED" | "STORE_FAILED") => () => {
  throw new WkfsError(code, "told to fail");
};

describe("the end of leases", () => {
  const thousands = (own: TestDaemon) =>
    Promise.all(
      Array.from({ length: 2500 }, (_, index) =>
        own.ask({
          ip: `10.2.${index >> 8}.${index & 255 || 1}`,
          ports: [index & 255 ? TCP22 : { proto: "TCP", num: 5432 }],
        }),
      ),
    );

  it("comes on the deadline, thousands at once in a few transactions, and is remembered", async () => {
    await using own = await TestDaemon.start();
    await thousands(own);
    const applied = own.firewalls[0]!.applied.length;
    await own.advance(60_000);
    expect(await own.kernel()).toEqual([]);
    expect(own.firewalls[0]!.applied.length).toBe(applied + 3);
    expect(own.daemon.leases.size).toBe(0);
    expect(own.store.leasesOnDisk.size).toBe(0);
    const ended = own.store.historyOnDisk.flatMap((event) => (event.type === "expired" ? event.leases : []));
    expect(ended).toHaveLength(2500);
  });

  it("leaves room for knocks: one for a door just shut opens it again, and the store keeps that lease", async () => {
    await using own = await TestDaemon.start();
    await thousands(own);
    const [firewall] = own.firewalls;
    const order: string[] = [];
    let answer: Promise<unknown> | undefined;
    firewall!.onApply = ({ open, close }) => {
      order.push(open.length > 0 ? "opened" : "shut");
      const shut = close.find(({ port }) => port.number === 22);
      if (answer === undefined && shut !== undefined) answer = own.ask({ ip: shut.address.text });
    };
    await own.advance(60_000);
    expect(order).toEqual(["shut", "opened", "shut", "shut"]);
    expect(await answer).toMatchObject({ success: true });
    expect(own.daemon.leases.size).toBe(1);
    expect(own.store.leasesOnDisk.size).toBe(1);
  });

  it("is in the history of a daemon that was stopped meanwhile", async () => {
    await using own = await TestDaemon.start();
    await thousands(own);
    let stopped: Promise<void> | undefined;
    own.firewalls[0]!.onApply = () => {
      stopped ??= own.daemon.stop();
    };
    await own.advance(60_000);
    await stopped;
    const ended = own.store.historyOnDisk.flatMap((event) => (event.type === "expired" ? event.leases : []));
    expect(ended).toHaveLength(1000);
    expect(own.store.leasesOnDisk.size).toBe(1500);
  });

  it("is tried again when the kernel refuses, and somebody is told once", async () => {
    const told: Notification[] = [];
    const plugin = {
      notify: async (notification: Notification) => void told.push(notification),
      close: async () => {},
    };
    await using own = await TestDaemon.start({ notifiers: [{ name: "n", plugin }] });
    await own.ask({ time: 10 });
    own.firewalls[0]!.onApply = failing("FIREWALL_FAILED");
    await own.advance(15_000);
    expect(own.daemon.leases.size).toBe(1);
    own.firewalls[0]!.onApply = () => {};
    await own.advance(1000);
    expect(own.daemon.leases.size).toBe(0);
    expect(told.flatMap(({ events }) => events.map(({ type }) => type))).toEqual(["opened", "failed"]);
  });
});

describe("a lease that the kernel ends on time", () => {
  const kernel = (clock: FakeClock, more: Partial<FirewallCapabilities> = {}) =>
    new MemoryFirewall({ clock, capabilities: { step: 1000, ...more } });
  const closings = ({ applied }: MemoryFirewall) => applied.flatMap(({ close }) => close);

  it("is not taken out of it, and leaves book and store when it has ended", async () => {
    const clock = new FakeClock();
    const firewall = kernel(clock);
    await using own = await TestDaemon.start({ clock, firewalls: [firewall] });
    await own.ask({ time: 60 });
    await own.advance(60_000);
    expect(await own.kernel()).toEqual([]);
    await own.advance(100);
    expect([closings(firewall), own.daemon.leases.size, own.store.leasesOnDisk.size]).toEqual([[], 0, 0]);
    expect(own.history()).toEqual(["started", "opened", "expired"]);
  });

  it("is opened anew by a knock that comes between its end and that", async () => {
    const clock = new FakeClock();
    const firewall = kernel(clock);
    await using own = await TestDaemon.start({ clock, firewalls: [firewall] });
    await own.ask({ time: 60 });
    await own.advance(60_010);
    await own.ask({ time: 60 });
    // A kernel that is a little late still holds the element.
    expect(firewall.applied.at(-1)!.before).toHaveLength(1);
    await own.advance(59_000);
    expect(await own.kernel()).toEqual(["10.91.0.2 tcp/22"]);
    expect(own.history()).toEqual(["started", "opened", "opened"]);
  });

  it.each([
    ["was written too late for that", {}, 100],
    ["is held by another firewall that promises nothing", { step: undefined }, 0],
  ])("is shut by the daemon where it %s", async (_what, second, late) => {
    const clock = new FakeClock();
    const [one, two] = [kernel(clock), kernel(clock, second as Partial<FirewallCapabilities>)];
    await using own = await TestDaemon.start({ clock, firewalls: [one, two] });
    two.onApply = () => (late > 0 ? new Promise<void>((resolve) => void clock.setTimer(late, resolve)) : undefined);
    const asked = own.ask({ time: 60 });
    await settle();
    await own.advance(late);
    expect(await asked).toMatchObject({ success: true });
    two.onApply = () => {};
    await own.advance(60_000 - late);
    expect([closings(one).length, closings(two).length, own.daemon.leases.size]).toEqual([1, 1, 0]);
  });

  it("is shut by the daemon after a reboot, when whole seconds are too long", async () => {
    const clock = new FakeClock();
    const store = new MemoryStore();
    const first = await TestDaemon.start({ clock, store, firewalls: [kernel(clock)] });
    await first.ask({ time: 60 });
    await first.daemon.stop();
    await clock.advance(10_500);
    const firewall = kernel(clock);
    await using second = await TestDaemon.start({ clock, store, firewalls: [firewall] });
    await second.advance(49_499);
    expect(await second.kernel()).toEqual(["10.91.0.2 tcp/22"]);
    await second.advance(1);
    expect([closings(firewall).length, second.daemon.leases.size]).toEqual([1, 0]);
  });

  it("is shut by the daemon when the clock was set forward: the kernel's time is not over", async () => {
    const clock = new FakeClock();
    const firewall = kernel(clock);
    await using own = await TestDaemon.start({ clock, firewalls: [firewall] });
    await own.ask({ time: 60 });
    own.clock.set(3_600_000);
    // Whoever knocks makes the daemon look at the time.
    await own.ask({ ip: "10.0.0.9" });
    await own.advance(100);
    expect(closings(firewall).map(({ address }) => address.text)).toEqual(["10.91.0.2"]);
    expect(own.daemon.leases.size).toBe(1);
  });

  it("and outlives it all the same is found and taken out", async () => {
    const clock = new FakeClock();
    const firewall = kernel(clock);
    await using own = await TestDaemon.start({ clock, firewalls: [firewall] });
    await own.ask({ time: 30 });
    const [id, held] = [...firewall.kernel][0]!;
    firewall.kernel.set(id, { ...held, deadline: clock.now() + 1e7 });
    await own.advance(65_000);
    expect(await own.kernel()).toEqual([]);
    expect(own.history()).toContain("healed");
  });
});

describe("a packet filter with lanes", () => {
  const leases = (count: number, clock: FakeClock) =>
    Array.from({ length: count }, (_, index) => ({
      address: { family: "ipv4", text: `10.1.${index >> 8}.${index & 255}`, length: 32 } as const,
      port: { protocol: "tcp", number: 22 } as const,
      client: "default",
      openedAt: clock.now(),
      deadline: clock.now() + 300_000,
    }));

  it("is given many leases in several changes at a time, and is looked at beside the knocks", async () => {
    const clock = new FakeClock();
    const store = new MemoryStore();
    const firewall = new MemoryFirewall({ clock, capabilities: { lanes: 2 } });
    await store.open();
    await store.write({ put: leases(30_000, clock) });
    const [list, attach] = [vi.spyOn(firewall, "list"), firewall.attach.bind(firewall)];
    firewall.attach = async () => (await attach(), { empty: true });
    let [under, most] = [0, 0];
    firewall.onApply = async () => {
      most = Math.max(most, (under += 1));
      await settle();
      under -= 1;
    };
    await using own = await TestDaemon.start({ clock, store, firewalls: [firewall] });
    expect([most, firewall.kernel.size, list.mock.calls.length]).toEqual([2, 30_000, 0]);
    const held = Promise.withResolvers<void>();
    const check = firewall.check.bind(firewall);
    firewall.check = async () => (await held.promise, await check());
    firewall.onApply = () => {};
    await own.advance(2000);
    expect(await own.ask()).toMatchObject({ success: true });
    held.resolve();
  });

  it("that refuses one of them refuses the start, once none is under way", async () => {
    const clock = new FakeClock();
    const firewall = new MemoryFirewall({ clock, capabilities: { lanes: 2 } });
    const store = new MemoryStore();
    await store.open();
    await store.write({ put: leases(30_000, clock) });
    let [begun, under] = [0, 0];
    firewall.onApply = async () => {
      under += 1;
      const refused = (begun += 1) === 1;
      if (!refused) await settle();
      under -= 1;
      if (refused) failing("FIREWALL_FAILED")();
    };
    await expect(TestDaemon.start({ clock, store, firewalls: [firewall] })).rejects.toMatchObject({
      code: "FIREWALL_FAILED",
    });
    expect([begun, under]).toEqual([2, 0]);
  });
});

describe("a clock that is set", () => {
  it("back makes no lease last longer, in the kernel, the book and the store", async () => {
    await using own = await TestDaemon.start();
    await own.ask({ time: 60 });
    await own.advance(10_000);
    own.clock.set(-3_600_000);
    await own.advance(5000);
    expect(own.daemon.leases.all()[0]!.deadline - own.clock.now()).toBe(45_000);
    expect(own.store.leasesOnDisk.get("10.91.0.2 tcp/22")!.deadline - own.clock.now()).toBe(45_000);
    // A kernel counts down by itself; the fake's is the time of day, so it is told.
    own.firewalls[0]!.kernel.clear();
    await own.advance(5000);
    await own.advance(40_000);
    expect(own.daemon.leases.size).toBe(0);
    expect(await own.kernel()).toEqual([]);
  });

  it("forward ends leases early, and nothing else", async () => {
    await using own = await TestDaemon.start();
    await own.ask({ time: 60 });
    own.clock.set(3_600_000);
    await own.advance(61_000);
    expect(own.daemon.leases.size).toBe(0);
    expect(await own.ask({ time: 60 })).toMatchObject({ success: true });
  });
});
