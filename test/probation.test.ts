import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ActivationRecord, type RecordFile } from "@wkfs/core/daemon";
import { WkfsError } from "@wkfs/core";
import { controlCall } from "@wkfs/core/control";
import { currentBoot } from "@wkfs/core/rescue";
import { FakeClock, MemoryFirewall, settle } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { TestDaemon, type TestDaemonOptions } from "./support/daemon.ts";

const SECONDS = 60;

/** A record in memory, which others may write too. */
class Paper implements RecordFile {
  record: ActivationRecord;

  constructor(record: ActivationRecord) {
    this.record = record;
  }

  async read(): Promise<ActivationRecord> {
    return this.record;
  }

  async write(record: ActivationRecord): Promise<void> {
    this.record = record;
  }
}

/** A daemon that was activated a moment ago and is not started yet; its kernel guards already, as after a former run. */
async function activated(
  change: Partial<ActivationRecord> = {},
  { control, kernel }: TestDaemonOptions & { readonly kernel?: (clock: FakeClock) => MemoryFirewall } = {},
) {
  const clock = new FakeClock();
  const until = clock.now() + SECONDS * 1000;
  const paper = new Paper({
    id: "one",
    stage: "probation",
    until,
    seconds: SECONDS,
    bootId: await currentBoot(),
    config: "/etc/wkfs/wkfs.yaml",
    confirmBy: "knock",
    ...change,
  });
  const firewall = kernel?.(clock) ?? new MemoryFirewall({ clock });
  await firewall.attach();
  const options = { clock, record: paper, firewalls: [firewall], ...(control && { control }) };
  const own = await TestDaemon.create(options);
  return {
    own,
    paper,
    until,
    firewall,
    /** How it ended: the error that it ended with, or undefined. */
    ended: own.daemon.stopped.then(
      () => undefined,
      (error: unknown) => error,
    ),
    get guards(): "for good" | "for a time" | "not" {
      if (firewall.missing.length > 0) return "not";
      return firewall.guardUntil === undefined ? "for good" : "for a time";
    },
  };
}

async function started(...given: Parameters<typeof activated>) {
  const made = await activated(...given);
  await made.own.daemon.start();
  return made;
}

describe("a daemon on probation", () => {
  it("has the kernel end the guard, and ends itself, with everything taken down, when nobody confirms", async () => {
    const site = await started();
    expect([site.guards, site.firewall.guardUntil]).toEqual(["for a time", site.until]);
    await site.own.advance(SECONDS * 1000 - 1);
    expect([site.guards, site.own.daemon.status]).toEqual(["for a time", "running"]);
    await site.own.advance(1);
    expect(await site.ended).toMatchObject({ code: "NOT_CONFIRMED" });
    expect([site.guards, site.own.daemon.status]).toEqual(["not", "stopped"]);
    // What puts back the rest sees by it that there is something to do.
    expect(site.paper.record.stage).toBe("probation");
    expect(site.own.clock.waiting).toBe(0);
  });

  it("is confirmed by a knock that worked, and then stays", async () => {
    const site = await started();
    expect(await site.own.ask()).toMatchObject({ success: true });
    await settle();
    expect([site.guards, site.paper.record.stage]).toEqual(["for good", "confirmed"]);
    await site.own.advance(2 * SECONDS * 1000);
    expect([site.guards, site.own.daemon.status]).toEqual(["for good", "running"]);
    await site.own.stop();
    expect(site.guards).toBe("for good");
  });

  it.each([
    ["a knock of this host itself", {}, { ip: "127.0.0.1" }],
    ["a knock of this host over IPv6", {}, { ip: "::1" }],
    ["a knock that opened nothing", {}, { ports: [{ proto: "TCP", num: 80 }] }],
    ["a knock, where the console alone is to confirm", { confirmBy: "console" } as const, {}],
  ])("is not confirmed by %s", async (_, change, knock) => {
    const site = await started(change);
    await site.own.ask(knock);
    await site.own.advance(SECONDS * 1000);
    expect(await site.ended).toMatchObject({ code: "NOT_CONFIRMED" });
    expect(site.guards).toBe("not");
  });

  it("is confirmed from the console, not by what the console opens", async () => {
    const folder = await mkdtemp(join(tmpdir(), "probation-"));
    try {
      const path = join(folder, "control.sock");
      const site = await started({}, { control: { path } });
      await controlCall({ path, op: "open", args: { address: "10.91.0.9", tcp: [22], time: 60 } });
      await settle();
      expect(await controlCall({ path, op: "status" })).toMatchObject({
        probation: { until: site.until, confirmBy: "knock" },
      });
      expect(await controlCall({ path, op: "confirm" })).toEqual({ confirmed: true });
      expect([site.guards, site.paper.record.stage]).toEqual(["for good", "confirmed"]);
      expect(await controlCall({ path, op: "confirm" })).toEqual({ confirmed: false });
      expect(await controlCall({ path, op: "status" })).not.toHaveProperty("probation");
      expect(await controlCall({ path, op: "stop", args: { detach: true } })).toEqual({ pid: process.pid });
      expect(await site.ended).toBeUndefined();
      expect(site.guards).toBe("not");
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("takes up from its record that somebody confirmed, or ended it", async () => {
    const confirmed = await started();
    confirmed.paper.record = { ...confirmed.paper.record, stage: "confirmed" };
    await confirmed.own.advance(1000);
    expect(confirmed.guards).toBe("for good");
    await confirmed.own.stop();
    const ended = await started();
    ended.paper.record = { ...ended.paper.record, stage: "panic" };
    await ended.own.advance(1000);
    expect(await ended.ended).toMatchObject({ code: "NOT_CONFIRMED" });
    expect(ended.guards).toBe("not");
  });

  it("cannot be confirmed too late, nor when it is no longer the same", async () => {
    const late = await started();
    // Its time comes while the disk is read.
    const read = late.paper.read.bind(late.paper);
    late.paper.read = async () => {
      late.paper.read = read;
      await late.own.clock.advance(SECONDS * 1000);
      return await read();
    };
    await expect(late.own.daemon.confirm()).rejects.toMatchObject({ code: "NOT_CONFIRMED" });
    expect(late.paper.record.stage).toBe("probation");
    await late.own.advance(1000);
    expect(await late.ended).toMatchObject({ code: "NOT_CONFIRMED" });

    const other = await started();
    other.paper.record = { ...other.paper.record, id: "two" };
    await expect(other.own.daemon.confirm()).rejects.toMatchObject({ code: "NOT_CONFIRMED" });
    await other.own.advance(1000);
    expect([other.guards, other.own.daemon.status]).toEqual(["not", "stopped"]);
  });

  it("stays confirmed when the packet filter refuses at first", async () => {
    const site = await started();
    const attach = site.firewall.attach.bind(site.firewall);
    site.firewall.attach = async () => {
      site.firewall.missing = ["the chain is half made"];
      throw new WkfsError("FIREWALL_FAILED", "told to fail");
    };
    await expect(site.own.daemon.confirm()).rejects.toMatchObject({ code: "FIREWALL_FAILED" });
    expect(site.paper.record.stage).toBe("confirmed");
    site.firewall.attach = attach;
    await site.own.advance(2000);
    expect(site.guards).toBe("for good");
    await site.own.stop();
  });

  it("mends its hooks for the same time, and asks nothing of a firewall that cannot", async () => {
    const site = await started();
    site.firewall.missing = ["the jump is gone"];
    await site.own.advance(2000);
    expect([site.guards, site.firewall.guardUntil]).toEqual(["for a time", site.until]);
    await site.own.stop();
    const kernel = (clock: FakeClock) => new MemoryFirewall({ clock, capabilities: { guardUntil: false } });
    const plain = await started({}, { kernel });
    expect(plain.guards).toBe("for good");
    await plain.own.advance(SECONDS * 1000);
    expect([plain.guards, plain.own.daemon.status]).toEqual(["not", "stopped"]);
  });

  it("leaves the rest of its time standing when it is stopped, and nothing when it could not start", async () => {
    const stopped = await started();
    await stopped.own.stop();
    expect(stopped.guards).toBe("for a time");
    const failing = await activated({}, { control: { path: "/dev/null/control.sock" } });
    const start = failing.own.daemon.start().catch((error: unknown) => error);
    // No time passes meanwhile; then as much as a stop waits for its last notification.
    while (failing.guards !== "not") await settle();
    await failing.own.advance(5000);
    expect(await start).toMatchObject({ code: "HOST_UNSUPPORTED" });
  });
});

describe("a daemon that starts", () => {
  it.each([
    ["after the time was over", { until: new FakeClock().now() }],
    ["after a reboot", { bootId: "another" }],
    ["after a rescue", { stage: "ended" }],
    ["after a panic", { stage: "panic", before: "confirmed" }],
  ] as const)("does not guard %s, takes down what stands, and says why", async (_, change) => {
    const site = await activated(change);
    expect(site.guards).toBe("for good");
    await expect(site.own.daemon.start()).rejects.toMatchObject({ code: "NOT_CONFIRMED" });
    expect([site.guards, site.own.daemon.status]).toEqual(["not", "stopped"]);
    expect(site.own.history()).toEqual([]);
  });

  it("guards for good what was confirmed, also in another boot", async () => {
    const site = await started({ stage: "confirmed", bootId: "another", until: 0 });
    expect(site.guards).toBe("for good");
    await site.own.stop();
  });

  it("touches nothing when it cannot read the record", async () => {
    const site = await activated();
    site.paper.read = () => Promise.reject(new WkfsError("STORE_FAILED", "told to fail"));
    await expect(site.own.daemon.start()).rejects.toMatchObject({ code: "STORE_FAILED" });
    expect(site.guards).toBe("for good");
  });
});
