import { FakeClock, firewallSuite, testContext } from "@wkfs/core/testing";
import { parseAddress } from "@wkfs/core";
import { beforeEach, describe, expect, it } from "vitest";
import plugin, { dryRun } from "./index.ts";

const printed: string[] = [];
beforeEach(() => void (printed.length = 0));

async function make(clock: FakeClock, families: ("ipv4" | "ipv6")[] = ["ipv4", "ipv6"]) {
  const printing = dryRun({ write: (text) => printed.push(text) });
  return await printing.create(
    { for: "iptables", mode: "guard", parent: "INPUT", chain: "wkfs", families },
    testContext({ clock }),
  );
}

firewallSuite("dry-run", { describe, it }, async () => {
  const clock = new FakeClock();
  // What it remembers ends with it, so a restart that takes over is the same object.
  const firewall = await make(clock);
  return {
    make: async () => firewall,
    now: () => clock.now(),
    pass: (ms) => clock.advance(ms),
    async [Symbol.asyncDispose]() {},
  };
});

describe("a dry run", () => {
  it("prints the very lines that would be applied, for both families, and ends leases by the clock", async () => {
    const clock = new FakeClock();
    const firewall = await make(clock);
    await firewall.attach();
    const text = printed.join("");
    expect(text).toContain("ipset create wkfs-v4 hash:ip,port family inet timeout 600");
    expect(text).toContain("iptables-restore --noflush <<'END'\n*filter\n:wkfs - [0:0]\n-A wkfs -i lo -j RETURN");
    expect(text).toContain("ip6tables-restore --noflush");
    printed.length = 0;
    const lease = (address: string) =>
      ({
        address: parseAddress(address),
        port: { protocol: "tcp", number: 22 },
        client: "a",
        openedAt: clock.now(),
        deadline: clock.now() + 60_000,
      }) as const;
    await firewall.apply({ open: [lease("192.0.2.7"), lease("fd91::2")], close: [], before: [] });
    expect(printed).toEqual([
      "ipset -exist add wkfs-v4 192.0.2.7,tcp:22 timeout 60\n",
      "ipset -exist add wkfs-v6 fd91::2,tcp:22 timeout 60\n",
    ]);
    expect((await firewall.list()).leases.length).toBe(2);
    await clock.advance(60_000);
    expect((await firewall.list()).leases).toEqual([]);
  });

  it("prints for the families that it was told, to stdout when it was told nowhere else", async () => {
    const firewall = await make(new FakeClock(), ["ipv6"]);
    await firewall.attach();
    expect(firewall.capabilities.families).toEqual(["ipv6"]);
    expect(printed.join("")).not.toContain("iptables-restore --");
    expect(printed.join("")).toContain("ip6tables-restore");
    expect(plugin).toMatchObject({ name: "dry-run", kind: "firewall" });
  });

  it("prints what nftables would apply, and refuses what nftables would refuse", async () => {
    const printing = dryRun({ write: (text) => printed.push(text) });
    const made = async (config: object) => {
      const checked = await printing.configSchema["~standard"].validate({ for: "nftables", ...config });
      if (checked.issues !== undefined) return checked.issues;
      return await printing.create(checked.value, testContext({ clock: new FakeClock() }));
    };
    const firewall = (await made({ name: "doors", priority: -20 })) as Awaited<ReturnType<typeof make>>;
    await firewall.attach();
    const text = printed.join("");
    expect(text).toContain("nft -f - <<'END'\nadd table inet doors\n");
    expect(text).toContain("type filter hook input priority -20; policy accept;");
    expect(text).not.toContain("iptables");
    expect(await made({ priority: -300 })).toMatchObject([{ path: ["priority"] }]);
    expect(await made({ chain: "x" })).toMatchObject([{ message: expect.stringContaining("chain") }]);
  });

  it("refuses the configuration that iptables would refuse", async () => {
    const accepts = async (config: object) =>
      (await plugin.configSchema["~standard"].validate(config)).issues === undefined;
    for (const config of [{}, { mode: "allow", chain: "other" }, { families: ["ipv6"] }]) {
      expect(await accepts(config)).toBe(true);
    }
    const bad = [
      { chain: "a b" },
      { chain: "-A" },
      { parent: "x\ny" },
      { families: [] },
      { families: ["ipv4", "ipv4"] },
    ];
    for (const config of [...bad, { set: "x" }, { mode: "open" }]) expect(await accepts(config)).toBe(false);
  });
});
