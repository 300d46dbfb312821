import { join } from "node:path";
import { whyNoKernel } from "@wkfs/core/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type PacketFilter, iptables, nftables } from "./support/packet-filter.ts";
import { CLIENT, type Instance, type Role, SERVER, Site } from "./support/site.ts";

const tcp4 = { host: SERVER.ipv4, port: 2222 };

for (const filter of [iptables, nftables]) {
  const reason = whyNoKernel(...filter.programs);
  const because = reason === undefined ? "" : ` (skipped: ${reason})`;
  describe.skipIf(reason !== undefined)(
    `a knock on a real kernel, ${filter.name}${because}`,
    { timeout: 60_000 },
    () => {
      knocks(filter);
    },
  );
}

function knocks(filter: PacketFilter): void {
  let site: Site;
  let instance: Instance;
  let daemon: Role;
  beforeAll(async () => {
    site = await Site.create(filter);
    instance = await site.configure();
    daemon = await site.daemon(instance);
    await site.gateway(instance);
  });
  afterAll(async () => await site[Symbol.asyncDispose]());

  it.each([
    { family: "IPv4", host: SERVER.ipv4, from: CLIENT.ipv4, other: CLIENT.other4 },
    { family: "IPv6", host: SERVER.ipv6, from: CLIENT.ipv6, other: CLIENT.other6 },
    { family: "IPv6 with zeros at its end", host: SERVER.ipv6b, from: CLIENT.ipv6b, other: undefined },
  ])(
    "opens TCP and UDP over $family: closed before, open for one address, protocol and port",
    async ({ host, from, other }) => {
      const { prober } = site;
      const service = { host, port: 2222, from };
      expect(await prober.tcp({ host, port: 2223, from })).toBe("open");
      expect(await prober.tcp(service)).toBe("silent");
      expect(await prober.udp({ host, port: 1194, from })).toBe("silent");

      const tcp = await site.knock(instance, { host, args: ["--tcp", "2222"] });
      expect(tcp).toMatchObject({ code: 0, json: { ip: from } });
      expect(await prober.tcp(service)).toBe("open");
      expect(await prober.udp({ host, port: 1194, from })).toBe("silent");
      if (other !== undefined) expect(await prober.tcp({ ...service, from: other })).toBe("silent");

      expect((await site.knock(instance, { host, args: ["--udp", "1194"] })).code).toBe(0);
      expect(await prober.udp({ host, port: 1194, from })).toBe("open");
      if (other !== undefined) expect(await prober.udp({ host, port: 1194, from: other })).toBe("silent");
      expect((await site.leases()).map(({ lease }) => lease)).toEqual(
        expect.arrayContaining([`${from} tcp/2222`, `${from} udp/1194`]),
      );
    },
  );

  it("never guards loopback", async () => {
    for (const host of ["127.0.0.1", "::1"]) {
      const probe = `require("net").createConnection(2222, ${JSON.stringify(host)}).once("data", () => process.exit(7))`;
      expect((await site.server.exec([process.execPath, "-e", probe])).code).toBe(7);
    }
  });

  it("shuts within 100 ms of the deadline; a connection that stands survives it", async () => {
    const from = { ...tcp4, from: CLIENT.other4 };
    await using knocker = await otherHost(site);
    const before = Date.now();
    await knocker.knock(2);
    const after = Date.now();
    expect(await site.prober.keep("ssh", from)).toBe("open");
    const tries = await site.prober.watch({ ...from, until: after + 2600 });
    const lastOpen = Math.max(...tries.filter(({ open }) => open).map(({ at }) => at));
    const firstShut = Math.min(...tries.filter(({ at, open }) => !open && at > before + 500).map(({ at }) => at));
    // The deadline is two seconds after the daemon took the knock, which was between `before` and `after`.
    expect(lastOpen).toBeLessThanOrEqual(after + 2100);
    expect(firstShut).toBeGreaterThanOrEqual(before + 1900);
    expect(firstShut).toBeGreaterThan(lastOpen);
    expect(await site.prober.still("ssh")).toBe("open");
  });

  it("renews without a gap and without a second lease", async () => {
    const client = site.command(["client", "--config", instance.client, "--tcp", "2222", "--time", "2"]);
    await client.says("2222");
    const tries = await site.prober.watch({ ...tcp4, until: Date.now() + 4000, every: 20 });
    expect(tries.length).toBeGreaterThan(50);
    expect(tries.filter(({ open }) => !open)).toEqual([]);
    expect((await site.leases()).filter(({ lease }) => lease === `${CLIENT.ipv4} tcp/2222`).length).toBe(1);
    expect(await client.end("SIGTERM")).toBe(0);
  });

  it("is refused, and says so, for a port that is not offered", async () => {
    const answer = await site.knock(instance, { args: ["--tcp", "2223"] });
    expect(answer.code).toBe(4);
    expect(answer.stderr).toMatch(/Error: .*\nHint: /);
  });

  it("stops cleanly on SIGTERM, and the guard stays", async () => {
    const other = await site.configure({ name: "stopping", gatewayPort: 8090, transportPort: 33_590 });
    const role = await site.daemon(other);
    expect(await role.end()).toBe(0);
    expect(await filter.traces(site.server, "stopping")).not.toBe("");
    const argv = [process.execPath, "cli/bin/run.js", "daemon", "--detach", "--config", other.config];
    expect((await site.server.exec(argv)).code).toBe(0);
    expect(await filter.traces(site.server, "stopping")).toBe("");
    expect(daemon.child.exitCode).toBeNull();
  });
}

/** Knocks from the client's second IPv4 address, whose connections the other tests do not use. */
async function otherHost(site: Site) {
  const port = 8091;
  const other = await site.configure({ name: "deadline", gatewayPort: port, transportPort: 33_591 });
  const daemon = await site.daemon(other);
  const gateway = await site.gateway(other);
  // The first instance drops this port too, so what opens must be open in both: it is told as well.
  await site.client.run("ip", "route", "replace", `${SERVER.ipv4}/32`, "dev", "wire0", "src", CLIENT.other4);
  return {
    async knock(time: number) {
      const both = await Promise.all([
        site.knock(other, { time }),
        site.knock({ ...other, client: join(site.folder, "wkfs-client.yaml") }, { time }),
      ]);
      for (const { code, stderr } of both) expect([code, stderr]).toEqual([0, ""]);
    },
    async [Symbol.asyncDispose]() {
      await site.client.run("ip", "route", "del", `${SERVER.ipv4}/32`);
      await Promise.all([daemon.end(), gateway.end()]);
      await site.server.exec([process.execPath, "cli/bin/run.js", "daemon", "--detach", "--config", other.config]);
    },
  };
}
