import { whyNoKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { type PacketFilter, iptables, nftables } from "./support/packet-filter.ts";
import { CLIENT, SERVER, Site } from "./support/site.ts";

const tcp4 = { host: SERVER.ipv4, port: 2222 };

for (const filter of [iptables, nftables]) {
  const reason = whyNoKernel(...filter.programs);
  const because = reason === undefined ? "" : ` (skipped: ${reason})`;
  describe.skipIf(reason !== undefined)(
    `a dead daemon is a closed door, ${filter.name}${because}`,
    { timeout: 60_000 },
    () => {
      closed(filter);
    },
  );
}

function closed(filter: PacketFilter): void {
  it("kill -9: what is open shuts on its deadline; a restart takes over what has time left, once", async () => {
    await using site = await Site.create(filter);
    const instance = await site.configure();
    const first = await site.daemon(instance);
    await site.gateway(instance);
    expect((await site.knock(instance, { time: 60, args: ["--udp", "1194"] })).code).toBe(0);
    const before = Date.now();
    expect((await site.knock(instance, { time: 3 })).code).toBe(0);
    const after = Date.now();
    await first.end("SIGKILL");
    const tries = await site.prober.watch({ ...tcp4, until: after + 3500 });
    const lastOpen = Math.max(...tries.filter(({ open }) => open).map(({ at }) => at));
    expect(lastOpen).toBeGreaterThanOrEqual(before + 2800);
    expect(lastOpen).toBeLessThanOrEqual(after + 3100);
    expect(await site.prober.tcp(tcp4)).toBe("silent");
    expect((await site.knock(instance)).code).toBe(3);

    const second = await site.daemon(instance);
    expect(second.log.find(({ msg }) => msg === "ready")).toMatchObject({ leases: 1, ended: 1 });
    const [held, ...others] = await site.leases();
    expect(others).toEqual([]);
    expect(held!.lease).toBe(`${CLIENT.ipv4} udp/1194`);
    expect(held!.left).toBeGreaterThan(40);
    expect(held!.left).toBeLessThan(58);
    const hooks = (await filter.traces(site.server, "wkfs")).split("\n").filter((line) => /-j wkfs$|^table/.test(line));
    // One jump in each family, or one table.
    expect(hooks.length).toBe(filter.section("wkfs").length);
    expect(await site.prober.udp({ host: SERVER.ipv4, port: 1194 })).toBe("open");
  });

  it.each(filter.harm)("%s: put right within 5 s, leases included, with an event", async (_, commands) => {
    await using site = await Site.create(filter);
    const instance = await site.configure();
    const daemon = await site.daemon(instance);
    await site.gateway(instance);
    expect((await site.knock(instance, { time: 60 })).code).toBe(0);
    const lines = daemon.log.length;
    const harmed = Date.now();
    for (const command of commands) {
      // The kernel lets go of a set some time after the last rule that used it.
      let result = await site.server.exec(command);
      while (/in use/.test(result.stderr)) result = await site.server.exec(command);
      expect(result.stderr).toBe("");
    }
    expect(await daemon.says("put right", lines)).toMatchObject({
      firewall: filter.name,
      found: expect.arrayContaining([expect.any(String)]),
    });
    expect(Date.now() - harmed).toBeLessThan(5000);
    expect((await site.leases()).map(({ lease }) => lease)).toEqual([`${CLIENT.ipv4} tcp/2222`]);
    expect(await site.prober.tcp(tcp4)).toBe("open");
    expect(await site.prober.tcp({ ...tcp4, from: CLIENT.other4 })).toBe("silent");
  });
}
