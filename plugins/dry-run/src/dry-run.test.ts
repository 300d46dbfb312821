import { FakeClock, firewallSuite, testContext } from "@wkfs/core/testing";
import { parseAddress } from "@wkfs/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import dryRun from "./index.ts";

const printed: string[] = [];
beforeEach(() => {
  printed.length = 0;
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed.push(String(text));
    return true;
  });
});
afterEach(() => void vi.restoreAllMocks());

async function make(clock: FakeClock, families: ("ipv4" | "ipv6")[] = ["ipv4", "ipv6"]) {
  return await dryRun.create({ mode: "guard", parent: "INPUT", chain: "wkfs", families }, testContext({ clock }));
}

firewallSuite("dry-run", { describe, it }, async () => {
  const clock = new FakeClock();
  // What it remembers ends with it, so a restart that takes over is the same object.
  const firewall = await make(clock);
  return { make: async () => firewall, now: () => clock.now(), async [Symbol.asyncDispose]() {} };
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
});
