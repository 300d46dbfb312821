import { expect, it } from "vitest";
import { ADMIN, type PacketFilter, iptables, nftables, picture } from "./support/packet-filter.ts";
import { Served, TCP, UNIX, systemdSuite } from "./support/served.ts";
import { CLIENT, SERVER } from "./support/site.ts";

const PORT = { host: SERVER.ipv4, port: 2222 };
const HALVES = ["wkfs-daemon", "wkfs-gateway"] as const;
/** A probation that ends by itself: both halves must be up within it, on a busy machine. */
const WITHIN = "20s";
/** What the timer's unit says when it has put everything back. */
const PUT_BACK = "the packet filter is what it was before the activation";

/** An administrator's server, with a connection that stands and wkfs installed and not active. */
async function installed(filter: PacketFilter, transport: object, dropIn?: string) {
  const served = await Served.start(filter, transport, { rules: ADMIN, start: false, ...(dropIn && { dropIn }) });
  expect(await served.site.prober.keep("ssh", PORT)).toBe("open");
  return { served, before: await picture(served.site.server) };
}

async function activate({ host }: Served, within: string, ...flags: string[]): Promise<void> {
  const { code, stdout, stderr } = await host.wkfs("activate", "--within", within, "--json", ...flags);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(JSON.parse(stdout)).toMatchObject({
    started: ["wkfs-daemon.service", "wkfs-gateway.service"],
    commands: [],
    timer: expect.stringMatching(/^wkfs-rescue-\w+\.timer of systemd$/) as string,
  });
}

systemdSuite("the way back", () => {
  it.concurrent("is systemd's to take when everything of wkfs is killed and stays dead", async () => {
    const { served, before } = await installed(iptables, TCP, "Restart=no\\n");
    await using _ = served;
    const { host, site } = served;
    await activate(served, WITHIN);
    expect(await site.prober.tcp(PORT)).toBe("silent");
    for (const half of HALVES) await host.run("systemctl", "kill", "--signal=KILL", half);
    expect(await site.prober.tcp(PORT)).toBe("silent");
    await host.says(PUT_BACK);
    expect(await picture(site.server)).toBe(before);
    expect(await site.prober.tcp(PORT)).toBe("open");
    expect(await site.prober.still("ssh")).toBe("open");
  });

  it.concurrent("is a reboot, after which the units start and do not guard", async () => {
    const { served, before } = await installed(nftables, UNIX);
    await using _ = served;
    await activate(served, "10m");
    expect(await served.site.prober.tcp(PORT)).toBe("silent");
    await served.reboot();
    const { host, site } = served;
    expect((await host.exec(["systemctl", "start", ...HALVES])).code).not.toBe(0);
    expect(await host.property("wkfs-daemon", "ExecMainStatus")).toBe("6");
    expect(host.logs()).toContain("the host was rebooted before anybody confirmed the guard");
    expect(await picture(site.server)).toBe(before);
    expect(await site.prober.tcp(PORT)).toBe("open");
    expect(await host.wkfs("confirm")).toMatchObject({ code: 6 });
    expect(await host.wkfs("rescue")).toMatchObject({ code: 0, stdout: expect.stringContaining(PUT_BACK) as string });
  });

  it.concurrent("is still taken by a daemon that was killed and started again; a confirmed guard goes with `uninstall`", async () => {
    const { served, before } = await installed(nftables, TCP);
    await using _ = served;
    const { host, site } = served;
    await activate(served, WITHIN);
    await host.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "wkfs-daemon");
    await host.says('"msg":"on probation', 2);
    expect(await site.prober.tcp(PORT)).toBe("silent");
    await host.says("nobody confirmed");
    await host.says(PUT_BACK);
    expect(await picture(site.server)).toBe(before);

    await host.run("systemctl", "stop", ...HALVES);
    await activate(served, "10m", "--confirm", "console");
    expect(await site.knock(served.instance)).toMatchObject({ code: 0 });
    expect(await host.wkfs("confirm")).toMatchObject({ code: 0, stdout: "Confirmed: the guard stays.\n" });
    expect(await host.run("systemctl", "list-units", "--all", "--no-legend", "wkfs-rescue-*")).toBe("");
    expect(await site.prober.tcp({ ...PORT, from: CLIENT.other4 })).toBe("silent");
    await served.reboot();
    await served.host.run("systemctl", "start", ...HALVES);
    expect(await site.prober.tcp({ ...PORT, from: CLIENT.other4 })).toBe("silent");
    const removed = await served.host.wkfs("uninstall", "--purge");
    expect(removed).toMatchObject({ code: 0, stderr: "" });
    expect(removed.stdout).toMatch(/^the daemon \(pid \d+\) was told to stop and did$/m);
    expect(await picture(site.server)).toBe(before);
    expect(await site.prober.tcp({ ...PORT, from: CLIENT.other4 })).toBe("open");
    expect(await served.host.exec(["systemctl", "cat", ...HALVES, "wkfs-daemon.socket"])).toMatchObject({
      code: 1,
      stdout: "",
    });
  });

  it.concurrent("of a changed configuration is one probation from a confirmed guard, and a full disk does not bar it", async () => {
    const { served, before } = await installed(nftables, UNIX);
    await using _ = served;
    const { host, site } = served;
    await host.run("mkdir", "-p", "/var/lib/wkfs");
    await host.run("mount", "-t", "tmpfs", "-o", "size=16m", "none", "/var/lib/wkfs");
    await activate(served, "10m");
    expect(await host.wkfs("activate")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("a daemon runs already") as string,
    });
    expect(await host.wkfs("confirm")).toMatchObject({ code: 0 });
    const pid = await host.property("wkfs-daemon", "MainPID");
    await activate(served, "10m");
    expect(await host.property("wkfs-daemon", "MainPID")).not.toBe(pid);
    expect((await host.wkfs("status")).stdout).toMatch(/^probation /m);
    expect(await site.prober.tcp(PORT)).toBe("silent");
    expect(await host.wkfs("confirm")).toMatchObject({ code: 0 });

    expect((await host.exec(["dd", "if=/dev/zero", "of=/var/lib/wkfs/full", "bs=64k"])).code).not.toBe(0);
    const rescued = await host.wkfs("rescue");
    expect(rescued).toMatchObject({ code: 1, stdout: expect.stringContaining("ENOSPC") as string });
    expect(await host.property("wkfs-daemon", "ActiveState")).toBe("inactive");
    expect(await picture(site.server)).toBe(before);
    expect(await site.prober.still("ssh")).toBe("open");
    expect(await site.prober.tcp(PORT)).toBe("open");
  });
});
