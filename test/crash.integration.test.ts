import { whyNoKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { CLIENT, SERVER, Site } from "./support/site.ts";

const reason = whyNoKernel("iptables", "ip6tables", "ipset");
const because = reason === undefined ? "" : ` (skipped: ${reason})`;
const tcp4 = { host: SERVER.ipv4, port: 2222 };

describe.skipIf(reason !== undefined)(`a dead daemon is a closed door${because}`, { timeout: 60_000 }, () => {
  it("kill -9: what is open shuts on its deadline; a restart takes over what has time left, once", async () => {
    await using site = await Site.create();
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
    const [element, ...others] = await site.set("wkfs-v4");
    expect(others).toEqual([]);
    const left = Number(/^10\.91\.0\.2,udp:1194 timeout (\d+)$/.exec(element!)?.[1]);
    expect(left).toBeGreaterThan(40);
    expect(left).toBeLessThan(58);
    expect(
      (await site.server.run("iptables", "-S", "INPUT")).split("\n").filter((rule) => rule.includes("-j wkfs")).length,
    ).toBe(1);
    expect(await site.prober.udp({ host: SERVER.ipv4, port: 1194 })).toBe("open");
  });

  it.each<[string, readonly string[][]]>([
    ["iptables -F", [["iptables", "-F"]]],
    ["the jump deleted", [["iptables", "-D", "INPUT", "1"]]],
    [
      "the chain deleted",
      [
        ["iptables", "-D", "INPUT", "1"],
        ["iptables", "-F", "wkfs"],
        ["iptables", "-X", "wkfs"],
      ],
    ],
    ["the set flushed", [["ipset", "flush", "wkfs-v4"]]],
    [
      "chain and set destroyed",
      [
        ["iptables", "-F"],
        ["iptables", "-X"],
        ["ipset", "destroy", "wkfs-v4"],
      ],
    ],
  ])("%s: put right within 5 s, leases included, with an event", async (_, commands) => {
    await using site = await Site.create();
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
      firewall: "iptables",
      found: expect.arrayContaining([expect.any(String)]),
    });
    expect(Date.now() - harmed).toBeLessThan(5000);
    expect((await site.set("wkfs-v4")).map((element) => element.split(" ")[0])).toEqual([`${CLIENT.ipv4},tcp:2222`]);
    expect(await site.prober.tcp(tcp4)).toBe("open");
    expect(await site.prober.tcp({ ...tcp4, from: CLIENT.other4 })).toBe("silent");
  });
});
