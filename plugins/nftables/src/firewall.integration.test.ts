import { type Lease, parseAddress } from "@wkfs/core";
import { NetworkNamespace, execute, firewallSuite, onKernel, recordingLogger, testContext } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { configSchema } from "./config.ts";
import { NftablesFirewall } from "./firewall.ts";
import { hostNftables } from "./host-nftables.ts";

const runner = onKernel({ describe, it }, "nft");

/** A host of its own whose administrator has rules, with a firewall of this configuration. */
async function ownHost(settings: object = {}) {
  const host = await NetworkNamespace.create();
  const nft = async (...args: string[]) => void (await host.run("nft", ...args));
  await nft("add table inet filter");
  await nft("add chain inet filter input { type filter hook input priority 0; policy accept; }");
  await nft("add rule inet filter input tcp dport 80 accept");
  await nft('add rule inet filter input iif "lo" tcp dport 22 counter accept comment "ssh, 100 %"');
  const log = recordingLogger();
  const make = async (more: object = {}, wrapper: readonly string[] = []) => {
    const config = configSchema.parse({ ...settings, ...more });
    return new NftablesFirewall(config, testContext({ log }), hostNftables(log, [...host.prefix, ...wrapper]));
  };
  const allow = "mode" in settings;
  return {
    host,
    log,
    nft,
    make,
    makeSecond: () => make({ name: "other" }),
    now: () => Date.now(),
    snapshot: async () =>
      (await host.run("nft", "--stateless", "list", "ruleset")).replaceAll(/ timeout \w+ expires \w+/g, ""),
    harm: allow
      ? {
          "flushing the parent": () => nft("flush chain inet filter input"),
          "flushing the chain": () => nft("flush chain inet filter wkfs"),
          "deleting call and chain": () => nft("flush chain inet filter input; delete chain inet filter wkfs"),
          "a rule in our chain": () => nft("insert rule inet filter wkfs drop"),
        }
      : {
          "nft flush ruleset": () => nft("flush ruleset"),
          "deleting the table": () => nft("delete table inet wkfs"),
          "switching the table off": () => nft("add table inet wkfs { flags dormant; }"),
          "flushing the chain": () => nft("flush chain inet wkfs guard"),
          "deleting the chain": () => nft("flush chain inet wkfs guard; delete chain inet wkfs guard"),
          "deleting chain and set": () =>
            nft("flush chain inet wkfs guard; delete chain inet wkfs guard; delete set inet wkfs wkfs_v4"),
          "a rule in front": () => nft("insert rule inet wkfs guard accept"),
          "a rule behind": () => nft("add rule inet wkfs guard accept"),
          "another policy": () => nft("chain inet wkfs guard { policy drop; }"),
        },
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

firewallSuite("nftables, guard", runner, () => ownHost());
firewallSuite("nftables, allow", runner, () => ownHost({ mode: "allow", position: 2 }));

function lease(text: string, milliseconds = 60_000, port: Lease["port"] = { protocol: "tcp", number: 22 }): Lease {
  return { address: parseAddress(text), port, client: "a", openedAt: 0, deadline: Date.now() + milliseconds };
}
const opening = (...open: Lease[]) => ({ open, close: [], before: [] });
const hosts = (count: number) => Array.from({ length: count }, (_, host) => lease(`10.77.${host >> 8}.${host & 255}`));

runner.describe("mode: allow on the kernel", () => {
  const settings = {
    mode: "allow",
    takeOut: ['iif "lo" tcp dport 22 counter packets 3 bytes 99 accept comment "ssh, 100 %"'],
  };

  it("takes a rule out and puts it back to its very place, also when the process was killed in between", async () => {
    await using subject = await ownHost(settings);
    const before = await subject.snapshot();
    const killed = await subject.make();
    await killed.attach();
    expect(await subject.snapshot()).not.toMatch(/^\s*iif "lo" tcp dport 22/m);
    // Nothing of the first is called any more, as after kill -9.
    const next = await subject.make();
    await next.attach();
    expect((await next.check()).missing).toEqual([]);
    await next.release();
    expect(await subject.snapshot()).toMatch(/^\s*iif "lo" tcp dport 22/m);
    await next.detach();
    await killed.release();
    expect(await subject.snapshot()).toBe(before);
  });

  it.each(["ip", "ip6"])("works in a table of the family %s", async (family) => {
    await using subject = await ownHost({ mode: "allow", parent: { family } });
    await subject.nft(
      `add table ${family} filter; add chain ${family} filter input { type filter hook input priority 0; }`,
    );
    const firewall = await subject.make();
    await firewall.attach();
    await firewall.apply(opening(lease(family === "ip" ? "10.0.0.1" : "fd91::1")));
    expect(await firewall.list()).toMatchObject({ missing: [], leases: [{ port: { number: 22 } }] });
    await firewall.detach();
  });
});

runner.describe("what stands in the kernel", () => {
  it("takes over leases, ports and size of another configuration, without a moment in which a port is open", async () => {
    await using subject = await ownHost();
    const first = await subject.make({ size: 64 });
    await first.attach();
    await first.apply(opening(lease("10.0.0.1"), lease("fd91::1", 90_000)));
    await first.release();
    const monitor = subject.host.spawn(["nft", "monitor"], { stdio: ["ignore", "pipe", "inherit"] });
    let seen = "";
    monitor.stdout!.on("data", (chunk) => {
      seen += chunk;
    });
    // It does not say when it begins to listen: that is when it hears the first thing.
    while (seen.length === 0) await subject.nft("add table inet probe; delete table inet probe");
    const second = await subject.make({ size: 1000 });
    await second.attach();
    await subject.nft("add table inet last");
    while (!seen.includes("add table inet last")) await new Promise((resolve) => monitor.stdout!.once("data", resolve));
    const { missing, leases } = await second.list();
    expect(missing).toEqual([]);
    expect(leases.map(({ address }) => address.text).toSorted()).toEqual(["10.0.0.1", "fd91::1"]);
    expect(await subject.snapshot()).toContain("size 1000");
    // One transaction is one generation of the rules: the old guard goes in that in which the new one comes, leases and all.
    const generation = seen.split(/# new generation.*/).find((one) => one.includes("size 1000"));
    for (const part of [
      "delete chain inet wkfs guard",
      "22, 5432 } drop",
      "create element inet wkfs wkfs_v4",
      "create element inet wkfs wkfs_v6",
    ])
      expect(generation).toContain(part);
    await second.detach();
  });

  it("refuses what a full set does not take, all of it, and says so", async () => {
    await using subject = await ownHost({ size: 64 });
    const firewall = await subject.make();
    await firewall.attach();
    const full = firewall.apply(opening(...hosts(65)));
    await expect(full).rejects.toMatchObject({ code: "FIREWALL_FULL" });
    // So many refusals that nft cannot hear them all.
    await expect(firewall.apply(opening(...hosts(9000)))).rejects.toMatchObject({ code: "FIREWALL_FULL" });
    expect((await firewall.list()).leases).toEqual([]);
    await firewall.apply(opening(...hosts(64)));
    // A full set still renews.
    await firewall.apply({ open: hosts(64), close: [], before: hosts(64) });
    expect((await firewall.list()).leases.length).toBe(64);
    await firewall.detach();
  });

  it("is moved by an opening also where core did not know of it", async () => {
    await using subject = await ownHost();
    const firewall = await subject.make();
    await firewall.attach();
    await subject.nft("add element inet wkfs wkfs_v4 { 10.0.0.1 . tcp . 22 timeout 5s }");
    await firewall.apply(opening(lease("10.0.0.1", 60_000), lease("10.0.0.2", 60_000)));
    const { leases } = await firewall.list();
    expect(leases.map(({ address }) => address.text).toSorted()).toEqual(["10.0.0.1", "10.0.0.2"]);
    for (const { deadline } of leases) expect(deadline).toBeGreaterThan(Date.now() + 50_000);
    await firewall.detach();
  });

  it("is missed when somebody takes it away", async () => {
    await using subject = await ownHost();
    const firewall = await subject.make();
    await firewall.attach();
    const leases = [lease("10.0.0.1"), lease("10.0.0.2"), lease("fd91::1")];
    await firewall.apply(opening(...leases));
    const absent = async () => (await firewall.check(leases)).absent?.map(({ address }) => address.text);
    expect(await absent()).toEqual([]);
    await subject.nft("delete element inet wkfs wkfs_v4 { 10.0.0.2 . tcp . 22 }");
    expect(await absent()).toEqual(["10.0.0.2"]);
    await subject.nft("flush set inet wkfs wkfs_v4; flush set inet wkfs wkfs_v6");
    expect(await absent()).toEqual(["10.0.0.1", "10.0.0.2", "fd91::1"]);
    await firewall.detach();
  });

  it("is 100,000 leases, written and read back", async () => {
    await using subject = await ownHost();
    const firewall = await subject.make();
    await firewall.attach();
    const leases = Array.from({ length: 100_000 }, (_, host) =>
      lease(`10.${host >> 16}.${(host >> 8) & 255}.${host & 255}`, 900_000),
    );
    for (let at = 0; at < leases.length; at += 10_000) await firewall.apply(opening(...leases.slice(at, at + 10_000)));
    // The kernel moves the elements to more room in the background, and what is read out meanwhile lacks some.
    const held = [...(await firewall.list()).leases, ...(await firewall.list()).leases];
    expect(new Set(held.map(({ address }) => address.text)).size).toBe(100_000);
    expect(held.every(({ deadline }) => deadline! > leases[0]!.deadline - 30_000)).toBe(true);
    await firewall.detach();
  });
});

runner.describe("the nft process", () => {
  const children = async () => {
    const { stdout } = await execute(["pgrep", "-P", String(process.pid), "-f", "nft -i"]);
    return stdout.trim().split("\n").filter(Boolean).map(Number);
  };

  it("is started anew after it was killed, loses nothing that was acknowledged, and ends with the firewall", async () => {
    await using subject = await ownHost();
    const firewall = await subject.make();
    await firewall.attach();
    await firewall.apply(opening(lease("10.77.0.1")));
    const [writer] = await children();
    process.kill(writer!, "SIGKILL");
    await firewall.apply(opening(lease("10.77.0.2"))).catch(async (error: unknown) => {
      // It may have died under this very change: that is an error, and the next one works.
      expect(error).toMatchObject({ code: "FIREWALL_FAILED" });
      await firewall.apply(opening(lease("10.77.0.2")));
    });
    expect((await firewall.list()).leases.map(({ address }) => address.text).toSorted()).toEqual([
      "10.77.0.1",
      "10.77.0.2",
    ]);
    expect((await children()).length).toBe(1);
    await firewall.release();
    expect(await children()).toEqual([]);
  });

  it("is replaced now and then, without a change being lost", async () => {
    await using subject = await ownHost();
    const firewall = await subject.make();
    await firewall.attach();
    const [first] = await children();
    for (const one of hosts(1100)) await firewall.apply(opening(one));
    expect(await children()).not.toContain(first);
    expect((await firewall.list()).leases.length).toBe(1100);
    expect(subject.log.lines).toEqual([]);
    await firewall.release();
    expect(await children()).toEqual([]);
  });

  it("is done without where nft cannot be kept", async () => {
    await using subject = await ownHost();
    const noCommandLine = `if [ "$2" = -i ]; then echo "Error: interactive CLI not supported in this build" >&2; exit 1; fi; exec "$@"`;
    const firewall = await subject.make({}, ["sh", "-c", noCommandLine, "sh"]);
    await firewall.attach();
    await firewall.apply(opening(...hosts(3)));
    await expect(
      firewall.apply(opening(lease("10.77.0.9", 1000, { protocol: "tcp", number: 70_000 }))),
    ).rejects.toMatchObject({ code: "FIREWALL_FAILED" });
    expect((await firewall.list()).leases.length).toBe(3);
    expect(subject.log.lines.map(({ level }) => level)).toEqual(["warn"]);
    await firewall.detach();
  });

  it("has its change taken back when it dies over it", async () => {
    await using subject = await ownHost();
    const firewall = await subject.make();
    await firewall.attach();
    const standing = lease("10.77.0.1");
    await firewall.apply(opening(standing));
    // Answers as nft does when it starts; does the next thing, and is gone before it says so.
    const dying = `if [ "$2" != -i ]; then exec "$@"; fi; read mark; printf 'Error: x\\n%s\\n^\\n' "$mark" >&2; read line; nft -f /proc/self/fd/3`;
    const unlucky = await subject.make({}, ["sh", "-c", dying, "sh"]);
    const open = [lease("10.77.0.2"), { ...standing, deadline: standing.deadline + 600_000 }];
    await expect(unlucky.apply({ open, close: [], before: [standing] })).rejects.toMatchObject({
      code: "FIREWALL_FAILED",
    });
    const { leases } = await firewall.list();
    expect(leases.map(({ address }) => address.text)).toEqual(["10.77.0.1"]);
    expect(Math.abs(leases[0]!.deadline! - standing.deadline)).toBeLessThan(10_000);
    await firewall.detach();
  });
});
