import {
  type EventType,
  type FirewallCapabilities,
  type FirewallCheck,
  type LeaseKey,
  type Notification,
  WkfsError,
  leaseId,
  parseAddress,
} from "@wkfs/core";
import { FakeClock, MemoryFirewall, MemoryStore, settle } from "@wkfs/core/testing";
import { describe, expect, it, vi } from "vitest";
import { TestDaemon } from "./support/daemon.ts";

const TCP22 = { proto: "TCP", num: 22 };
/** So many leases that a start does not compare all. */
const MANY = 10_001;
const refusal = (code: string) => ({ success: false, errorcode: code });
const failing = (code: "FIREWALL_FAILED" | "STORE_FAILED") => () => {
  throw new WkfsError(code, "told to fail");
};

/** Milliseconds after which the history of a knock is written when nothing takes it along. */
const HISTORY_WAIT = 50;

describe("a knock", () => {
  it("opens what is offered, says so, and is remembered before it is answered", async () => {
    await using own = await TestDaemon.start();
    const answer = await own.ask({ ports: [TCP22, { proto: "UDP", num: 1194 }, { proto: "TCP", num: 23 }] });
    expect(answer).toEqual({
      success: true,
      expires: Math.floor(own.clock.now() / 1000) + 60,
      opened: [TCP22, { proto: "UDP", num: 1194 }],
      refused: [{ proto: "TCP", num: 23 }],
    });
    expect(await own.kernel()).toEqual(["10.91.0.2 tcp/22", "10.91.0.2 udp/1194"]);
    expect([...own.store.leasesOnDisk.keys()]).toEqual(["10.91.0.2 tcp/22", "10.91.0.2 udp/1194"]);
    await own.advance(HISTORY_WAIT);
    expect(own.history()).toEqual(["started", "opened"]);
  });

  it("is durable before the kernel has it, and in the kernel before it is answered", async () => {
    await using own = await TestDaemon.start();
    const steps: string[] = [];
    own.store.onWrite = ({ put }) => void (put && steps.push("store"));
    own.firewalls[0]!.onApply = () => void steps.push("kernel");
    await own.ask().then(() => steps.push("answer"));
    expect(steps).toEqual(["store", "kernel", "answer"]);
  });

  it("renews: moves the deadline, makes no second lease, and never shortens", async () => {
    await using own = await TestDaemon.start();
    const first = await own.ask({ time: 60 });
    await own.advance(20_000);
    const second = await own.ask({ time: 60 });
    expect(second["expires"]).toBe((first["expires"] as number) + 20);
    expect(await own.ask({ time: 1 })).toMatchObject({ success: true, expires: second["expires"] });
    expect(await own.kernel()).toEqual(["10.91.0.2 tcp/22"]);
    await own.advance(59_000);
    expect(await own.kernel()).toEqual(["10.91.0.2 tcp/22"]);
    await own.advance(1000);
    expect(await own.kernel()).toEqual([]);
    expect(own.history()).toEqual(["started", "opened", "renewed", "renewed", "expired"]);
    expect(own.store.leasesOnDisk.size).toBe(0);
  });

  it("gets no more time than there is", async () => {
    await using own = await TestDaemon.start();
    expect(await own.ask({ time: 1e9 })).toMatchObject({ expires: Math.floor(own.clock.now() / 1000) + 600 });
  });

  it.each<[object, string]>([
    [{ ip: undefined }, "missing_ip"],
    [{ ip: "10.0.0.1/8" }, "invalid_ip"],
    [{ ports: "22" }, "missing_ports"],
    [{ time: 0 }, "missing_time"],
    [{ time: "60" }, "missing_time"],
    [{ ports: [] }, "no_ports"],
    [{ ports: [{ proto: "TCP", num: 23 }] }, "no_ports"],
    [{ ports: [{ proto: "TCP", num: "22abc" }] }, "no_ports"],
  ])("like %j is refused with %s and opens nothing", async (request, code) => {
    await using own = await TestDaemon.start();
    expect(await own.ask(request)).toMatchObject(refusal(code));
    expect(own.firewalls[0]!.applied).toEqual([]);
  });

  it("is an error when the kernel refuses, and leaves no trace of a lease", async () => {
    await using own = await TestDaemon.start();
    own.firewalls[0]!.onApply = failing("FIREWALL_FAILED");
    expect(await own.ask()).toMatchObject(refusal("firewall_failed"));
    expect(own.store.leasesOnDisk.size).toBe(0);
    expect(own.store.waiting.size).toBe(0);
    expect(own.history()).toEqual(["started"]);
    own.firewalls[0]!.onApply = () => {};
    expect(await own.ask()).toMatchObject({ success: true });
  });

  it("whose renewal the kernel refuses keeps the lease that it had", async () => {
    await using own = await TestDaemon.start();
    await own.ask({ time: 60 });
    const [before] = own.store.leasesOnDisk.values();
    await own.advance(10_000);
    own.firewalls[0]!.onApply = failing("FIREWALL_FAILED");
    expect(await own.ask({ time: 60 })).toMatchObject(refusal("firewall_failed"));
    expect([...own.store.leasesOnDisk.values()]).toEqual([before]);
    expect(own.daemon.leases.all()).toEqual([before]);
    own.firewalls[0]!.onApply = () => {};
  });

  it("is an error when the store refuses, and never reaches the kernel", async () => {
    await using own = await TestDaemon.start();
    own.store.onWrite = failing("STORE_FAILED");
    expect(await own.ask()).toMatchObject(refusal("store_failed"));
    expect(own.firewalls[0]!.applied).toEqual([]);
    own.store.onWrite = () => {};
  });

  it("goes to every firewall of its family, and is taken back from the first when the second refuses", async () => {
    const clock = new FakeClock();
    const [one, two, six] = [["ipv4"], ["ipv4"], ["ipv6"]].map(
      (families) => new MemoryFirewall({ clock, capabilities: { families: families as ["ipv4"] } }),
    ) as [MemoryFirewall, MemoryFirewall, MemoryFirewall];
    await using own = await TestDaemon.start({ clock, firewalls: [one, two, six] });
    await own.ask();
    await own.ask({ ip: "fd91::2" });
    expect([await own.kernel(0), await own.kernel(1), await own.kernel(2)]).toEqual([
      ["10.91.0.2 tcp/22"],
      ["10.91.0.2 tcp/22"],
      ["fd91::2 tcp/22"],
    ]);
    two.onApply = failing("FIREWALL_FAILED");
    expect(await own.ask({ ports: [{ proto: "TCP", num: 5432 }] })).toMatchObject(refusal("firewall_failed"));
    expect(await own.kernel(0)).toEqual(["10.91.0.2 tcp/22"]);
    two.onApply = () => {};
  });

  it("from a family that no firewall takes is an error, and the start warns of it", async () => {
    const clock = new FakeClock();
    await using own = await TestDaemon.start({
      clock,
      firewalls: [new MemoryFirewall({ clock, capabilities: { families: ["ipv4"] } })],
    });
    expect(own.log).toContainEqual(expect.objectContaining({ level: "warn", data: { family: "ipv6" } }));
    expect(await own.ask({ ip: "fd91::2" })).toMatchObject(refusal("firewall_failed"));
  });

  it("that came with others fails alone when it is the one that cannot be", async () => {
    await using own = await TestDaemon.start();
    const held = Promise.withResolvers<void>();
    own.firewalls[0]!.onApply = () => held.promise;
    const first = own.ask({ ip: "10.0.0.1" });
    await settle();
    const rest = ["10.0.0.2", "10.0.0.66", "10.0.0.3"].map((ip) => own.ask({ ip }));
    await settle();
    own.firewalls[0]!.onApply = ({ open }) => {
      if (open.some(({ address }) => address.text === "10.0.0.66"))
        throw new WkfsError("FIREWALL_FAILED", "told to fail");
    };
    held.resolve();
    expect(await first).toMatchObject({ success: true });
    expect(await Promise.all(rest)).toMatchObject([{ success: true }, refusal("firewall_failed"), { success: true }]);
    expect(await own.kernel()).toEqual(["10.0.0.1 tcp/22", "10.0.0.2 tcp/22", "10.0.0.3 tcp/22"]);
  });

  it("that comes while another is under way has the history written along with its own lease", async () => {
    await using own = await TestDaemon.start();
    const writes: number[] = [];
    own.store.onWrite = ({ append = [] }) => void writes.push(append.length);
    const held = Promise.withResolvers<void>();
    own.firewalls[0]!.onApply = () => held.promise;
    const first = own.ask({ ip: "10.0.0.1" });
    await settle();
    const second = own.ask({ ip: "10.0.0.2" });
    await settle();
    held.resolve();
    await Promise.all([first, second]);
    await own.advance(HISTORY_WAIT);
    // The first lease; the second with the line about the first; the line about the second.
    expect(writes).toEqual([0, 1, 1]);
    expect(own.history()).toEqual(["started", "opened", "opened"]);
  });

  it("keeps its history when the store fails meanwhile", async () => {
    await using own = await TestDaemon.start();
    own.store.onWrite = ({ append }) => {
      if (append !== undefined && append.length > 0) throw new WkfsError("STORE_FAILED", "told to fail");
    };
    expect(await own.ask()).toMatchObject({ success: true });
    await settle();
    own.store.onWrite = () => {};
    await own.ask({ ip: "10.0.0.2" });
    await own.advance(HISTORY_WAIT);
    expect(own.history()).toEqual(["started", "opened", "opened"]);
  });

  it("is gathered with others while a transaction is under way", async () => {
    await using own = await TestDaemon.start();
    const held = Promise.withResolvers<void>();
    own.firewalls[0]!.onApply = () => held.promise;
    const first = own.ask({ ip: "10.0.0.1" });
    await settle();
    const rest = Array.from({ length: 50 }, (_, index) => own.ask({ ip: `10.0.1.${index + 1}` }));
    await settle();
    held.resolve();
    await Promise.all([first, ...rest]);
    expect(own.firewalls[0]!.applied.map(({ open }) => open.length)).toEqual([1, 50]);
  });
});

describe("named key sets", () => {
  const gateway = {
    path: "/x",
    keys: [
      { name: "ops", keys: "/k/ops" },
      { name: "db", keys: "/k/db", tcp: [5432], maxTime: 30 },
    ],
  };

  it("have their ports and time checked by the daemon again, whatever the gateway says", async () => {
    await using own = await TestDaemon.start({ gateway });
    expect(await own.ask({ client: "db" })).toMatchObject(refusal("no_ports"));
    expect(await own.ask({ client: "db", ports: [{ proto: "TCP", num: 5432 }], time: 600 })).toMatchObject({
      expires: Math.floor(own.clock.now() / 1000) + 30,
    });
    expect(await own.ask({ client: "ops" })).toMatchObject({ success: true });
    for (const client of [undefined, "nobody", "__proto__", ["ops"], 1])
      expect(await own.ask({ client })).toMatchObject(refusal("unknown_client"));
    expect([...own.store.leasesOnDisk.values()].map(({ client }) => client)).toEqual(["db", "ops"]);
    await own.advance(HISTORY_WAIT);
    expect(own.store.historyOnDisk).toContainEqual(
      expect.objectContaining({ type: "refused", reason: "unknown_client", client: "nobody" }),
    );
  });
});

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

describe("one packet filter of two that fails", () => {
  it("keeps the other from nothing: what has ended shuts there and stays shut", async () => {
    const clock = new FakeClock();
    const [four, six] = (["ipv4", "ipv6"] as const).map(
      (family) => new MemoryFirewall({ clock, capabilities: { families: [family], expiry: "core" } }),
    ) as [MemoryFirewall, MemoryFirewall];
    await using own = await TestDaemon.start({ clock, firewalls: [four, six] });
    await own.ask({ time: 10 });
    await own.ask({ ip: "fd91::2", time: 10 });
    six.onApply = failing("FIREWALL_FAILED");
    const changes = four.applied.length;
    await own.advance(10_000);
    await own.advance(20_000);
    expect(four.kernel.size).toBe(0);
    expect(four.applied.length).toBe(changes + 1);
    expect(own.daemon.leases.all().map(({ address }) => address.text)).toEqual(["fd91::2"]);
    expect([...own.store.leasesOnDisk.keys()]).toEqual(["fd91::2 tcp/22"]);
    six.onApply = () => {};
    await own.advance(1000);
    expect(own.daemon.leases.size).toBe(0);
  });
});

describe("a packet filter that does not answer", () => {
  it("is not asked again for each knock that waited: all are refused when the first is", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const own = await TestDaemon.start();
      let asked = 0;
      own.firewalls[0]!.onApply = () => {
        asked += 1;
        return new Promise(() => {});
      };
      const answers = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"].map((ip) => own.ask({ ip }));
      await vi.advanceTimersByTimeAsync(20_000);
      for (const answer of await Promise.all(answers)) expect(answer).toMatchObject(refusal("firewall_failed"));
      expect(asked).toBeLessThanOrEqual(2);
      expect(own.store.leasesOnDisk.size).toBe(0);
      own.firewalls[0]!.onApply = () => {};
      await own.daemon.stop();
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("limits", () => {
  it("on all leases refuse what is new and nothing that stands", async () => {
    await using own = await TestDaemon.start({ limits: { leases: 2 } });
    await Promise.all([own.ask({ ip: "10.0.0.1" }), own.ask({ ip: "10.0.0.2" })]);
    expect(await Promise.all([own.ask({ ip: "10.0.0.3" }), own.ask({ ip: "10.0.0.2" })])).toMatchObject([
      refusal("too_many_leases"),
      { success: true },
    ]);
    expect(own.log.filter(({ data }) => "reason" in data && data["reason"] === "too_many_leases")).toHaveLength(1);
    await own.advance(60_000);
    expect(await own.ask({ ip: "10.0.0.3" })).toMatchObject({ success: true });
  });

  it("on the leases of one address open what fits and say what did not", async () => {
    await using own = await TestDaemon.start({ limits: { leasesPerAddress: 1 } });
    const both = [TCP22, { proto: "TCP", num: 5432 }];
    const first = await own.ask({ ports: both });
    expect(first).toMatchObject({ success: true, opened: [TCP22], refused: [{ proto: "TCP", num: 5432 }] });
    expect(await own.ask({ ports: [both[1]] })).toMatchObject(refusal("too_many_leases_of_address"));
    expect(await own.ask({ ip: "10.0.0.3", ports: [both[1]] })).toMatchObject({ success: true });
    // The room is free again with the lease's end.
    await own.advance(60_000);
    expect(await own.ask({ ports: [both[1]] })).toMatchObject({ success: true });
  });

  it("on knocks of one address and second touch neither others nor the next second, and cost one line", async () => {
    await using own = await TestDaemon.start({ limits: { knocksPerSecond: 3 } });
    const answers = await Promise.all(Array.from({ length: 100 }, () => own.ask()));
    expect(answers.filter(({ success }) => success === true)).toHaveLength(3);
    expect(answers.at(-1)).toMatchObject(refusal("too_many_knocks"));
    expect(await own.ask({ ip: "10.0.0.9" })).toMatchObject({ success: true });
    expect(own.log.filter(({ data }) => "reason" in data && data["reason"] === "too_many_knocks")).toHaveLength(1);
    expect(own.history()).not.toContain("refused");
    await own.advance(1000);
    expect(await own.ask()).toMatchObject({ success: true });
  });

  it("of the packet filter itself are an error of their own, for those that do not fit", async () => {
    await using own = await TestDaemon.start();
    own.firewalls[0]!.onApply = ({ open }) => {
      if (own.firewalls[0]!.kernel.size + open.length > 3) throw new WkfsError("FIREWALL_FULL", "full");
    };
    const answers = await Promise.all(Array.from({ length: 5 }, (_, index) => own.ask({ ip: `10.0.0.${index + 1}` })));
    expect(answers.filter(({ success }) => success === true)).toHaveLength(3);
    expect(answers.at(-1)).toMatchObject(refusal("firewall_full"));
    expect(own.store.leasesOnDisk.size).toBe(3);
    own.firewalls[0]!.onApply = () => {};
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

describe("a restart", () => {
  it("takes over what has time left, with that time, and drops what has not", async () => {
    const clock = new FakeClock();
    const store = new MemoryStore();
    const firewall = new MemoryFirewall({ clock });
    const first = await TestDaemon.start({ clock, store, firewalls: [firewall] });
    await first.ask({ time: 10 });
    const { expires } = await first.ask({ time: 60, ports: [{ proto: "TCP", num: 5432 }] });
    await first.daemon.stop();
    expect(firewall.released).toBe(true);
    await clock.advance(20_000);
    const second = await TestDaemon.start({ clock, store, firewalls: [firewall] });
    await using _ = second;
    expect(second.daemon.leases.all().map(({ port, deadline }) => [port.number, deadline / 1000])).toEqual([
      [5432, expires],
    ]);
    expect(await second.kernel()).toEqual(["10.91.0.2 tcp/5432"]);
    expect([...store.leasesOnDisk.keys()]).toEqual(["10.91.0.2 tcp/5432"]);
    await second.advance(40_000);
    expect(await second.kernel()).toEqual([]);
  });

  it("goes by the configuration of now: a port that is offered no longer shuts, and no lease lasts longer than it may", async () => {
    const clock = new FakeClock();
    const store = new MemoryStore();
    const first = await TestDaemon.start({ clock, store });
    await first.ask({ time: 600, ports: [TCP22, { proto: "TCP", num: 5432 }] });
    await first.daemon.stop();
    await using second = await TestDaemon.start({ clock, store, protect: { tcp: [22], maxTime: 30 } });
    expect(second.daemon.leases.all().map(({ port, deadline }) => [port.number, deadline - clock.now()])).toEqual([
      [22, 30_000],
    ]);
    expect([...store.leasesOnDisk.values()]).toEqual(second.daemon.leases.all());
    expect(await second.kernel()).toEqual(["10.91.0.2 tcp/22"]);
  });

  it("fills an empty kernel, as after a reboot, and empties it of what nobody leased", async () => {
    const clock = new FakeClock();
    const store = new MemoryStore();
    const first = await TestDaemon.start({ clock, store });
    await first.ask();
    await first.daemon.stop();
    const firewall = new MemoryFirewall({ clock });
    const stranger = {
      address: { family: "ipv4", text: "192.0.2.9", length: 32 },
      port: { protocol: "tcp", number: 22 },
      deadline: clock.now() + 1e6,
    } as const;
    firewall.kernel.set("192.0.2.9 tcp/22", stranger);
    await using second = await TestDaemon.start({ clock, store, firewalls: [firewall] });
    expect(await second.kernel()).toEqual(["10.91.0.2 tcp/22"]);
  });

  it("closes at its end what only core would close, and opens it again at its start", async () => {
    const clock = new FakeClock();
    const store = new MemoryStore();
    const firewall = new MemoryFirewall({ clock, capabilities: { expiry: "core" } });
    const first = await TestDaemon.start({ clock, store, firewalls: [firewall] });
    await first.ask();
    await first.daemon.stop();
    expect(firewall.kernel.size).toBe(0);
    await using second = await TestDaemon.start({ clock, store, firewalls: [firewall] });
    expect(await second.kernel()).toEqual(["10.91.0.2 tcp/22"]);
    await second.advance(60_000);
    expect(firewall.kernel.size).toBe(0);
  });

  it("that fails undoes what it had begun", async () => {
    const own = await TestDaemon.create();
    own.firewalls[0]!.attach = async () => failing("FIREWALL_FAILED")();
    await expect(own.daemon.start()).rejects.toMatchObject({ code: "FIREWALL_FAILED" });
    expect(own.daemon.status).toBe("stopped");
    expect(own.clock.waiting).toBe(0);
    await expect(own.store.leases()).rejects.toMatchObject({ code: "STORE_FAILED" });
    await own.daemon.stop();
  });

  it("leaves no timer behind, and answers nobody any more", async () => {
    const own = await TestDaemon.start();
    await own.ask();
    await own.daemon.stop();
    expect(own.clock.waiting).toBe(0);
    await expect(own.ask()).rejects.toMatchObject({ code: "TRANSPORT_UNREACHABLE" });
  });
});

describe("a packet filter that was changed underneath", () => {
  it.each<[string, (firewall: MemoryFirewall) => void]>([
    ["flushed", (firewall) => firewall.kernel.clear()],
    ["without its hooks", (firewall) => (firewall.missing = ["the jump from INPUT"])],
    ["gone altogether", (firewall) => (firewall.kernel.clear(), (firewall.missing = ["the chain", "the set"]))],
  ])("is put right within 5 seconds when it is %s, with the time that leases had", async (_, harm) => {
    await using own = await TestDaemon.start();
    await own.ask();
    await own.advance(10_000);
    harm(own.firewalls[0]!);
    await own.advance(5000);
    expect(own.firewalls[0]!.missing).toEqual([]);
    expect(await own.kernel()).toEqual(["10.91.0.2 tcp/22"]);
    expect(own.history()).toContain("healed");
    await own.advance(45_000);
    expect(await own.kernel()).toEqual([]);
  });

  it("is not changed for a lease that one reading lacked and the next one has", async () => {
    await using own = await TestDaemon.start();
    await own.ask({ time: 300, ports: [TCP22, { proto: "TCP", num: 5432 }] });
    const firewall = own.firewalls[0]!;
    const list = firewall.list.bind(firewall);
    let readings = 0;
    firewall.list = async () => {
      const { missing, leases } = await list();
      readings += 1;
      return { missing, leases: readings === 1 ? leases.slice(1) : leases };
    };
    const { length } = firewall.applied;
    await own.advance(65_000);
    expect(readings).toBe(2);
    expect(firewall.applied.length).toBe(length);
    expect(own.history()).not.toContain("healed");
  });

  it.each([
    ["counts", (gone: boolean): Partial<FirewallCheck> => ({ count: gone ? 0 : MANY })],
    [
      "looks for a few",
      (gone: boolean, sample: readonly LeaseKey[]): Partial<FirewallCheck> => ({ absent: gone ? sample : [] }),
    ],
  ])("is read at the start when many are lost, and else in the first round, where it %s", async (_what, found) => {
    for (const gone of [false, true]) {
      await using own = await TestDaemon.start();
      await own.daemon.stop();
      const firewall = own.firewalls[0]!;
      const leases = Array.from({ length: MANY }, (_, index) => ({
        address: parseAddress(`10.1.${index >> 8}.${index & 255}`),
        port: { protocol: "tcp", number: 22 } as const,
        client: "default",
        openedAt: own.clock.now(),
        deadline: own.clock.now() + 300_000,
      }));
      await own.store.open();
      await own.store.write({ put: leases });
      if (!gone) for (const lease of leases) firewall.kernel.set(leaseId(lease), lease);
      const samples: number[] = [];
      firewall.check = async (sample = []) => (
        samples.push(sample.length),
        { missing: [], count: undefined, ...found(gone, sample) }
      );
      const list = vi.spyOn(firewall, "list");
      await using again = await TestDaemon.start({ clock: own.clock, store: own.store, firewalls: [firewall] });
      expect(samples.length).toBe(1);
      expect(samples[0]).toBeGreaterThan(8);
      expect(list.mock.calls.length > 0).toBe(gone);
      expect((await again.kernel()).length).toBe(MANY);
      await again.advance(2000);
      expect(list).toHaveBeenCalled();
    }
  });

  it("loses an opening that is nobody's, and gets a deadline right that was moved", async () => {
    await using own = await TestDaemon.start();
    await own.ask({ time: 300 });
    const { kernel } = own.firewalls[0]!;
    const [lease] = kernel.values();
    kernel.set("10.91.0.2 tcp/22", { ...lease!, deadline: own.clock.now() + 1e7 });
    kernel.set("192.0.2.9 tcp/22", { ...lease!, address: { family: "ipv4", text: "192.0.2.9", length: 32 } });
    await own.advance(65_000);
    expect(await own.kernel()).toEqual(["10.91.0.2 tcp/22"]);
    expect(own.store.historyOnDisk.findLast(({ type }) => type === "healed")).toMatchObject({
      found: [expect.stringContaining("1 lease"), expect.stringContaining("192.0.2.9")],
    });
    await own.advance(236_000);
    expect(await own.kernel()).toEqual([]);
  });

  it("and cannot be mended is told of once, and mended when it can be", async () => {
    await using own = await TestDaemon.start();
    await own.ask();
    const firewall = own.firewalls[0]!;
    const attach = firewall.attach.bind(firewall);
    firewall.missing = ["the chain"];
    firewall.attach = async () => failing("FIREWALL_FAILED")();
    await own.advance(10_000);
    expect(own.history().filter((type) => type === "failed")).toEqual(["failed"]);
    expect(await own.ask({ ip: "10.0.0.9" })).toMatchObject(refusal("firewall_failed"));
    firewall.attach = attach;
    await own.advance(5000);
    expect(firewall.missing).toEqual([]);
    expect(own.history().at(-1)).toBe("healed");
  });

  it("is left alone when nothing is wrong", async () => {
    await using own = await TestDaemon.start();
    await own.ask({ time: 500 });
    await own.advance(200_000);
    expect(own.history()).toEqual(["started", "opened"]);
    expect(own.firewalls[0]!.attached).toBe(1);
  });

  it("is compared each minute, and less often where that takes long: knocks wait a hundredth of the time at most", async () => {
    await using own = await TestDaemon.start();
    const [firewall] = own.firewalls;
    const list = firewall!.list.bind(firewall);
    let [reads, takes] = [0, 0];
    firewall!.list = async () => {
      reads += 1;
      await new Promise<void>((resolve) => void own.clock.setTimer(takes, resolve));
      return await list();
    };
    await own.advance(200_000);
    expect(reads).toBe(3);
    takes = 3000;
    await own.advance(60_000);
    expect(reads).toBe(4);
    await own.advance(280_000);
    expect(reads).toBe(4);
    await own.advance(20_000);
    expect(reads).toBe(5);
  });
});

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
