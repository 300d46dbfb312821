import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Lease, WkfsEvent } from "@wkfs/core";
import { controlCall } from "@wkfs/core/control";
import { FakeClock, MemoryFirewall } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { TestDaemon, type TestDaemonOptions } from "./support/daemon.ts";

/** A daemon of fakes with a control socket. */
async function steered(options: TestDaemonOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), "steered-"));
  const path = join(folder, "control.sock");
  const own = await TestDaemon.start({ ...options, control: { path } });
  const ask = (op: string, args = {}, more = {}) => controlCall({ path, op, args, ...more });
  return {
    own,
    ask,
    async items<Item>(op: string, args = {}): Promise<Item[]> {
      const items: Item[] = [];
      await ask(op, args, { onItem: (item: Item) => items.push(item) });
      return items;
    },
    /** Follows what happens; `next` waits for an event of this type. */
    follow() {
      const leave = new AbortController();
      const seen: WkfsEvent[] = [];
      let wake = (): void => {};
      const onItem = (event: WkfsEvent) => (seen.push(event), wake());
      const ended = ask("events", {}, { onItem, signal: leave.signal }).catch((error: unknown) => error);
      return {
        async next(type: WkfsEvent["type"]): Promise<WkfsEvent> {
          for (;;) {
            const found = seen.find((event) => event.type === type);
            if (found !== undefined) return found;
            await new Promise<void>((resolve) => (wake = resolve));
          }
        },
        async leave() {
          leave.abort(new Error("left"));
          return await ended;
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await own[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

const HERE = { address: "10.91.0.9", tcp: [22] };

describe("a running daemon, asked over its control socket,", () => {
  it("says how it is", async () => {
    await using daemon = await steered();
    await daemon.own.ask();
    expect(await daemon.ask("status")).toMatchObject({
      pid: process.pid,
      protect: { tcp: [22, 5432], udp: [1194], maxTime: 600 },
      leases: 1,
      firewalls: [{ name: "fake1", missing: [], held: 1, expiry: "kernel" }],
      latest: [{ type: "opened" }, { type: "started" }],
    });
    daemon.own.firewalls[0]!.missing = ["the chain wkfs is gone"];
    expect(await daemon.ask("status")).toMatchObject({ firewalls: [{ missing: ["the chain wkfs is gone"] }] });
  });

  it("lists what is open, the first to end first", async () => {
    await using daemon = await steered();
    await daemon.own.ask({ ip: "10.91.0.3", time: 300 });
    await daemon.own.ask({ ip: "10.91.0.2", time: 60 });
    const leases = await daemon.items<Lease>("leases");
    expect(leases.map(({ address, client }) => [address.text, client])).toEqual([
      ["10.91.0.2", "default"],
      ["10.91.0.3", "default"],
    ]);
  });

  it("tells what the kernels counted for them, where they do", async () => {
    const clock = new FakeClock();
    const counting = () => new MemoryFirewall({ clock, capabilities: { counters: true } });
    const firewalls = [counting(), counting()];
    await using daemon = await steered({ clock, firewalls });
    await daemon.own.ask({ ip: "10.91.0.2" });
    await daemon.own.ask({ ip: "10.91.0.3" });
    for (const { kernel } of firewalls) {
      const [id, lease] = [...kernel].find(([key]) => key.startsWith("10.91.0.2 "))!;
      kernel.set(id, { ...lease, counters: { packets: 2, bytes: 60 } });
    }
    const leases = await daemon.items<Lease & { counters?: object }>("leases", { counters: true });
    expect(leases.map(({ address, counters }) => [address.text, counters])).toEqual([
      ["10.91.0.2", { packets: 4, bytes: 120 }],
      ["10.91.0.3", undefined],
    ]);
    await using plain = await steered();
    await expect(plain.ask("leases", { counters: true })).rejects.toMatchObject({
      code: "CONTROL_FAILED",
      hint: expect.stringContaining("counters: true") as unknown,
    });
  });

  it("says what was found changed lately, and what runs", async () => {
    await using daemon = await steered();
    expect(await daemon.ask("status")).toMatchObject({ drift: [], plugins: expect.any(Array) as unknown });
    await daemon.own.ask();
    daemon.own.firewalls[0]!.missing = ["the chain wkfs is gone"];
    await daemon.own.clock.advance(2000);
    let report = await daemon.ask("status");
    while ((report as { readonly drift: readonly unknown[] }).drift.length === 0) report = await daemon.ask("status");
    expect(report).toMatchObject({
      drift: [{ type: "healed", firewall: "fake1", found: ["the chain wkfs is gone"] }],
      firewalls: [{ missing: [] }],
    });
  });

  it("opens by hand, also where key sets have names, and for no longer than it may", async () => {
    const gateway = { path: "/x", keys: [{ name: "phone", keys: "phone.json", tcp: [22] }] };
    await using daemon = await steered({ gateway });
    const opened = await daemon.ask("open", { ...HERE, tcp: [22, 5432, 80], time: 86_400 });
    expect(opened).toMatchObject({
      opened: [
        { client: "@hand", port: { protocol: "tcp", number: 22 }, deadline: daemon.own.clock.now() + 600_000 },
        { client: "@hand", port: { protocol: "tcp", number: 5432 } },
      ],
      refused: [{ protocol: "tcp", number: 80 }],
    });
    expect(await daemon.own.kernel()).toEqual(["10.91.0.9 tcp/22", "10.91.0.9 tcp/5432"]);
    expect(await daemon.ask("open", { ...HERE, tcp: [80], time: 60 })).toEqual({ refusal: "no_ports" });
  });

  it("closes by hand: in the kernel, the book, the store and the history", async () => {
    await using daemon = await steered();
    await daemon.own.ask({
      ip: "10.91.0.9",
      ports: [
        { proto: "TCP", num: 22 },
        { proto: "UDP", num: 1194 },
      ],
    });
    await daemon.own.ask({ ip: "10.91.0.3" });
    expect(await daemon.ask("close", HERE)).toMatchObject({ closed: [{ port: { number: 22 } }] });
    expect(await daemon.own.kernel()).toEqual(["10.91.0.3 tcp/22", "10.91.0.9 udp/1194"]);
    expect(await daemon.ask("close", { address: "::ffff:10.91.0.9" })).toMatchObject({
      closed: [{ port: { number: 1194 } }],
    });
    expect(await daemon.own.kernel()).toEqual(["10.91.0.3 tcp/22"]);
    expect([...daemon.own.store.leasesOnDisk.keys()]).toEqual(["10.91.0.3 tcp/22"]);
    expect(await daemon.ask("close", HERE)).toEqual({ closed: [] });
    const history = await daemon.items<WkfsEvent>("history", { limit: 2 });
    expect(history).toMatchObject([
      { type: "closed", by: "@hand", leases: [{ port: { number: 1194 } }] },
      { type: "closed", leases: [{ port: { number: 22 } }] },
    ]);
  });

  it("says so when a closing fails, and goes on trying", async () => {
    await using daemon = await steered();
    await daemon.own.ask({ ip: "10.91.0.9" });
    const [kernel] = daemon.own.firewalls;
    kernel!.onApply = () => {
      throw new Error("busy");
    };
    await expect(daemon.ask("close", HERE)).rejects.toMatchObject({ code: "FIREWALL_FAILED", message: /busy/ });
    expect(await daemon.own.kernel()).toEqual(["10.91.0.9 tcp/22"]);
    kernel!.onApply = () => {};
    await daemon.own.advance(2000);
    expect(await daemon.own.kernel()).toEqual([]);
    expect((await daemon.items<Lease>("leases")).length).toBe(0);
  });

  it("tells what happens, to everybody who follows", async () => {
    await using daemon = await steered();
    const [one, two] = [daemon.follow(), daemon.follow()];
    while (daemon.own.daemon.listenerCount("event") < 2) await daemon.ask("status");
    await daemon.own.ask();
    expect(await one.next("opened")).toMatchObject({ leases: [{ client: "default" }] });
    expect(await two.next("opened")).toMatchObject({ leases: [{ client: "default" }] });
    expect(await one.leave()).toMatchObject({ message: "left" });
    await daemon.ask("close", { address: "10.91.0.2" });
    expect(await two.next("closed")).toMatchObject({ by: "@hand" });
    await two.leave();
    while (daemon.own.daemon.listenerCount("event") > 0) await daemon.ask("status");
  });

  it.each([
    ["open", { address: "10.91.0.9", tcp: [22] }, "CONTROL_FAILED"],
    ["open", { ...HERE, time: -1 }, "CONTROL_FAILED"],
    ["open", { ...HERE, time: 60, forever: true }, "CONTROL_FAILED"],
    ["open", { address: "10.91.0.9", time: 60 }, "CONTROL_FAILED"],
    ["open", { address: "10.0.0.0/8", tcp: [22], time: 60 }, "ADDRESS_INVALID"],
    ["close", { address: "everybody" }, "ADDRESS_INVALID"],
    ["history", { limit: 1e9 }, "CONTROL_FAILED"],
    ["reboot", {}, "CONTROL_FAILED"],
  ])("refuses %s %j", async (op, args, code) => {
    await using daemon = await steered();
    await expect(daemon.ask(op, args)).rejects.toMatchObject({ code });
    expect(await daemon.own.kernel()).toEqual([]);
  });
});
