import { type FirewallCheck, type LeaseKey, WkfsError, leaseId, parseAddress } from "@wkfs/core";
import { FakeClock, MemoryFirewall, MemoryStore } from "@wkfs/core/testing";
import { describe, expect, it, vi } from "vitest";
import { TestDaemon } from "./support/daemon.ts";

const TCP22 = { proto: "TCP", num: 22 };
/** So many leases that a start does not compare all. */
const MANY = 10_001;
const refusal = (code: string) => ({ success: false, errorcode: code });
const failing = (code: "FIREWALL_FAILED" | "STORE_FAILED") => () => {
  throw new WkfsError(code, "told to fail");
};

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
