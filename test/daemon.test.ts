import { WkfsError } from "@wkfs/core";
import { FakeClock, MemoryFirewall, settle } from "@wkfs/core/testing";
import { describe, expect, it, vi } from "vitest";
import { TestDaemon } from "./support/daemon.ts";

const TCP22 = { proto: "TCP", num: 22 };
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
    const lines = () =>
      own.log.filter(({ data }) => "reason" in data && data["reason"] === "too_many_leases_of_address");
    expect(lines()).toHaveLength(1);
    expect(await own.ask({ ports: [both[1]] })).toMatchObject(refusal("too_many_leases_of_address"));
    expect(lines()).toHaveLength(1);
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
