import { NetworkNamespace, execute, firewallSuite, onKernel, testContext } from "@wkfs/core/testing";
import { leaseId, parseAddress } from "@wkfs/core";
import { describe, expect, it } from "vitest";
import { type Family, configSchema } from "./config.ts";
import { IptablesFirewall } from "./firewall.ts";
import { hostNetfilter } from "./host-netfilter.ts";

const runner = onKernel({ describe, it }, "iptables", "ip6tables", "ipset");

/** A host of its own whose administrator has rules, with a firewall of this configuration. */
async function ownHost(family: Family, settings: object) {
  const host = await NetworkNamespace.create();
  const tables = family === "ipv4" ? "iptables" : "ip6tables";
  await host.run(
    tables,
    "-A",
    "INPUT",
    "-p",
    "tcp",
    "--dport",
    "80",
    "-m",
    "comment",
    "--comment",
    "a web server",
    "-j",
    "ACCEPT",
  );
  await host.run(tables, "-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT");
  const make = async (more: object = {}) => {
    const config = configSchema(family).parse({ ...settings, ...more });
    const context = testContext();
    return await IptablesFirewall.create(family, config, context, hostNetfilter(family, context.log, host.prefix));
  };
  const sets = !("ipset" in settings);
  const set = `wkfs-${family === "ipv4" ? "v4" : "v6"}`;
  const full = (number: number) => ({
    address: parseAddress(`${family === "ipv4" ? "10.99.0." : "fd99::"}${number}`),
    port: { protocol: "tcp" as const, number: 22 },
    client: "suite",
    openedAt: Date.now(),
    deadline: Date.now() + 60_000,
  });
  return {
    make,
    makeSecond: () => make({ chain: "other", set: `other-${set}` }),
    run: (...argv: readonly string[]) => host.run(...argv),
    now: () => Date.now(),
    refused: () => [full(1), { ...full(2), port: { protocol: "tcp", number: 70_000 } }] as const,
    async snapshot() {
      const saved = await host.run(`${tables}-save`);
      // Counters, dates and what ipset says of memory are not ours.
      return `${saved.replaceAll(/^#.*$|\[\d+:\d+\]/gm, "")}${await host.run("ipset", "list", "-n")}`;
    },
    harm: {
      "flushing the table": async () => void (await host.run(tables, "-F")),
      "deleting the jump": async () => void (await host.run(tables, "-D", "INPUT", "1")),
      "flushing the chain": async () => void (await host.run(tables, "-F", "wkfs")),
      // What stands before the accepts of `mode: allow` is the administrator's business.
      ...(!("mode" in settings) && {
        "a rule in front": async () => void (await host.run(tables, "-I", "INPUT", "-p", "tcp", "-j", "ACCEPT")),
      }),
      "a rule taken out of the chain": async () => void (await host.run(tables, "-D", "wkfs", "1")),
      "deleting everything": async () => {
        await host.run(tables, "-F");
        await host.run(tables, "-X");
        if (sets) await host.exec(["ipset", "destroy"]);
      },
      ...(sets && { "flushing the set": async () => void (await host.run("ipset", "flush", set)) }),
    },
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

for (const family of ["ipv4", "ipv6"] as const) {
  firewallSuite(`iptables for ${family}, guard with sets`, runner, () => ownHost(family, {}));
}
firewallSuite("iptables, guard without sets", runner, () => ownHost("ipv4", { ipset: "never" }));
firewallSuite("iptables, allow", runner, () => ownHost("ipv4", { mode: "allow", position: 2 }));

runner.describe("mode: allow on the kernel", () => {
  const settings = { mode: "allow", takeOut: ["-p tcp -m tcp --dport 22 -j ACCEPT"] };

  for (const family of ["ipv4", "ipv6"] as const) {
    it(`takes a rule out and puts it back to its very place, also when the process was killed in between (${family})`, async () => {
      await using subject = await ownHost(family, settings);
      await (await subject.make()).apply({ open: [], close: [], before: [] });
      const before = await subject.snapshot();
      const killed = await subject.make();
      await killed.attach();
      expect(await subject.snapshot()).not.toMatch(/--dport 22 -j ACCEPT/);
      // Nothing of the first is called any more, as after kill -9.
      const next = await subject.make();
      await next.attach();
      expect((await next.check()).missing).toEqual([]);
      await next.release();
      const released = await subject.snapshot();
      expect(released).toMatch(/--dport 22 -j ACCEPT/);
      await next.detach();
      await killed.release();
      expect(await subject.snapshot()).toBe(before);
    });
  }
});

runner.describe("the ipset process", () => {
  const lease = (host: number) => ({
    address: parseAddress(`10.77.${host >> 8}.${host & 255}`),
    port: { protocol: "tcp" as const, number: 22 },
    client: "suite",
    openedAt: Date.now(),
    deadline: Date.now() + 60_000,
  });
  const change = (...hosts: number[]) => ({ open: hosts.map(lease), close: [], before: [] });
  const children = async () => {
    const { stdout } = await execute(["pgrep", "-P", String(process.pid), "-f", "ipset -exist"]);
    return stdout.trim().split("\n").filter(Boolean).map(Number);
  };

  it("is started anew after it was killed, loses nothing that was acknowledged, and ends with the firewall", async () => {
    await using subject = await ownHost("ipv4", {});
    const firewall = await subject.make();
    await firewall.attach();
    await firewall.apply(change(1));
    const [writer] = await children();
    process.kill(writer!, "SIGKILL");
    await firewall.apply(change(2)).catch(async (error: unknown) => {
      // It may have died under this very change: that is an error, and the next one works.
      expect(error).toMatchObject({ code: "FIREWALL_FAILED" });
      await firewall.apply(change(2));
    });
    expect((await firewall.list()).leases.map(({ address }) => address.text).toSorted()).toEqual([
      "10.77.0.1",
      "10.77.0.2",
    ]);
    expect((await children()).length).toBe(1);
    await firewall.release();
    expect(await children()).toEqual([]);
  });

  it("refuses what a full set does not take, all of it, and says so", async () => {
    await using subject = await ownHost("ipv4", { size: 64 });
    const firewall = await subject.make();
    await firewall.attach();
    const hosts = Array.from({ length: 2000 }, (_, host) => host + 1);
    await expect(firewall.apply(change(...hosts))).rejects.toMatchObject({ code: "FIREWALL_FULL" });
    expect((await firewall.list()).leases).toEqual([]);
    await firewall.apply(change(1, 2, 3));
    expect((await firewall.list()).leases.length).toBe(3);
    await firewall.release();
  });

  it("writes many at once, TCP and UDP, also when the set was made with another size or has been replaced", async () => {
    await using subject = await ownHost("ipv4", {});
    let firewall = await subject.make({ size: 5000 });
    const written = new Set<string>();
    const write = async (from: number) => {
      const open = Array.from({ length: 200 }, (_, at) => lease(from + at)).flatMap((one) => [
        one,
        { ...one, port: { protocol: "udp" as const, number: 1194 } },
      ]);
      await firewall.apply({ open, close: [], before: [] });
      for (const one of open) written.add(leaseId(one));
      expect(new Set((await firewall.list()).leases.map(leaseId))).toEqual(written);
    };
    await firewall.attach();
    await write(1000);
    await subject.run("ipset", "create", "other", "hash:ip,port", "timeout", "600", "maxelem", "3000");
    await subject.run("ipset", "swap", "other", "wkfs-v4");
    written.clear();
    await write(2000);
    await firewall.release();
    firewall = await subject.make();
    await firewall.attach();
    await write(3000);
    await firewall.release();
    await subject.run("ipset", "destroy", "other");
  });

  it("counts what a lease lets through, when it is told to, and goes on after a renewal", async () => {
    await using subject = await ownHost("ipv4", {});
    const firewall = await subject.make({ counters: true });
    await firewall.attach();
    const one = { ...lease(1), port: { protocol: "udp" as const, number: 1194 } };
    await firewall.apply({ open: [one], close: [], before: [] });
    const counters = async () => (await firewall.list()).leases.map((found) => found.counters);
    expect(firewall.capabilities.counters).toBe(true);
    expect(await counters()).toEqual([{ packets: 0, bytes: 0 }]);
    // As if packets had come.
    await subject.run(
      "ipset",
      "-exist",
      "add",
      "wkfs-v4",
      `${one.address.text},udp:1194`,
      "packets",
      "3",
      "bytes",
      "90",
    );
    await firewall.apply({ open: [one], close: [], before: [one] });
    expect(await counters()).toEqual([{ packets: 3, bytes: 90 }]);
    await firewall.detach();
    const plain = await subject.make();
    await plain.attach();
    await plain.apply({ open: [one], close: [], before: [] });
    expect((await plain.list()).leases).toMatchObject([{ port: one.port }]);
    expect(plain.capabilities.counters).toBe(false);
    await plain.release();
  });
});
