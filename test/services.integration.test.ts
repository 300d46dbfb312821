import { once } from "node:events";
import { watch } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { WkfsError } from "@wkfs/core";
import { onKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { freshKeys, keyFile } from "./support/gateway.ts";
import { type PacketFilter, iptables, nftables } from "./support/packet-filter.ts";
import { CLIENT, type Instance, SERVER, Site } from "./support/site.ts";
import { NODE, SystemdHost, WKFS, whyNoSystemd } from "./support/systemd-host.ts";

const PORT = { host: SERVER.ipv4, port: 2222 };
const NOTHING = "0000000000000000";

const UNIX = { use: "unix-socket", path: "/run/wkfs/daemon.sock", group: "wkfs-gateway" };
const TCP = { use: "localhost-tcp", secret: "transport.secret" };

/** A server whose services the real systemd runs, as `wkfs service install` wrote them. */
class Served implements AsyncDisposable {
  readonly site: Site;
  readonly host: SystemdHost;
  readonly instance: Instance;
  #config: Record<string, unknown>;

  private constructor(site: Site, host: SystemdHost, instance: Instance, config: Record<string, unknown>) {
    this.site = site;
    this.host = host;
    this.instance = instance;
    this.#config = config;
  }

  static async start(filter: PacketFilter, transport: object, dropIn = ""): Promise<Served> {
    const site = await Site.create(filter);
    const instance = await site.configure();
    const host = await SystemdHost.boot(site.server, site.folder);
    const served = new Served(site, host, instance, {
      ...(JSON.parse(await readFile(instance.config, "utf8")) as object),
      gateway: { listen: "[::]:8080", path: "/8f3c0c5e", keys: "v1.json" },
      transport,
      store: { use: "sqlite", path: "/var/lib/wkfs/wkfs.db" },
      control: { path: "/run/wkfs/control.sock" },
    });
    try {
      await host.run("mkdir", "/etc/wkfs");
      for (const [from, to] of [
        ["wkfs.keys", "v1.json"],
        ["wkfs.secret", "transport.secret"],
      ])
        await host.run("install", "-m", "0600", `/mnt/${from}`, `/etc/wkfs/${to}`);
      await served.configure({});
      await served.#install(dropIn);
    } catch (error) {
      await served[Symbol.asyncDispose]();
      throw error;
    }
    return served;
  }

  /** Changes the configuration; nobody is told. */
  async configure(change: object): Promise<void> {
    this.#config = { ...this.#config, ...change };
    await this.put("wkfs.yaml", JSON.stringify(this.#config));
  }

  /** Puts text into a file of the server, without changing whose it is. */
  async put(name: string, text: string): Promise<void> {
    await writeFile(join(this.site.folder, "new"), text);
    await this.host.run("sh", "-c", `cat /mnt/new > /etc/wkfs/${name}`);
  }

  async #install(dropIn: string): Promise<void> {
    const { stdout, stderr, code } = await this.host.wkfs(
      "service",
      "install",
      "--json",
      "--command",
      `${NODE} ${WKFS}`,
    );
    if (code !== 0 || stderr !== "") throw new Error(`wkfs service install ended with ${code}: ${stderr}`);
    const { next, written } = JSON.parse(stdout) as { next: string[]; written: string[] };
    await this.host.run("systemd-analyze", "verify", ...written.filter((path) => path.endsWith(".service")));
    const log = "StandardOutput=append:/mnt/log\\nStandardError=append:/mnt/log\\n";
    for (const unit of ["wkfs-daemon", "wkfs-gateway"]) {
      const folder = `/etc/systemd/system/${unit}.service.d`;
      const words = `${log}${unit === "wkfs-daemon" ? dropIn : ""}`;
      await this.host.run("sh", "-c", `mkdir ${folder} && printf '[Service]\\n${words}' > ${folder}/test.conf`);
    }
    // Without a probation, which is the last step: what is looked at here is the units.
    for (const line of next.slice(0, -1)) await this.host.run("sh", "-ec", line);
    await this.host.run("systemctl", "start", "wkfs-daemon", "wkfs-gateway");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]();
    await this.site[Symbol.asyncDispose]();
  }
}

const kernel = onKernel(
  { describe, it },
  "nft",
  "iptables",
  "ipset",
  "systemctl",
  "systemd-notify",
  "systemd-sysusers",
);
const lack = whyNoSystemd();
if (lack !== undefined && process.env["WKFS_REQUIRE_KERNEL"] === "1")
  throw new WkfsError("HOST_UNSUPPORTED", `WKFS_REQUIRE_KERNEL=1, but ${lack}`);
const suite = lack === undefined ? kernel.describe : describe.skip;

suite(`services as wkfs writes them, under the real systemd${lack === undefined ? "" : ` (skipped: ${lack})`}:`, () => {
  for (const [filter, transport, capabilities] of [
    [nftables, UNIX, "0000000000001000"],
    [iptables, TCP, "0000000000003000"],
  ] as const) {
    it(`${filter.name} over ${transport.use}: knocks are answered with no more rights than the unit gives`, async () => {
      await using served = await Served.start(filter, transport);
      const { host, site } = served;
      expect(await site.prober.tcp(PORT)).not.toBe("open");
      expect(await site.knock(served.instance)).toMatchObject({ code: 0 });
      expect(await site.prober.tcp(PORT)).toBe("open");

      const confined = { NoNewPrivs: "1", Seccomp: "2" };
      expect(await host.rights("wkfs-daemon")).toEqual({
        ...confined,
        CapEff: capabilities,
        CapBnd: capabilities,
        CapAmb: capabilities,
        CapPrm: capabilities,
      });
      expect(await host.rights("wkfs-gateway")).toEqual({
        ...confined,
        CapEff: NOTHING,
        CapBnd: NOTHING,
        CapAmb: NOTHING,
        CapPrm: NOTHING,
      });
      // Keys and secret are root's alone: systemd handed them over. Store and control socket are the daemon's.
      const as = ["setpriv", "--reuid", "wkfs-gateway", "--regid", "wkfs-gateway", "--init-groups"];
      for (const file of ["/etc/wkfs/v1.json", "/var/lib/wkfs/wkfs.db"])
        expect((await host.exec([...as, "cat", file])).stderr).toContain("Permission denied");
      expect((await host.exec([...as, "test", "-w", "/run/wkfs/control.sock"])).code).toBe(1);
      expect((await host.exec([...as, "cat", "/etc/wkfs/wkfs.yaml"])).code).toBe(0);

      await host.run("systemctl", "stop", "wkfs-gateway", "wkfs-daemon");
      expect(host.logs()).not.toMatch(/"level":"(warn|error)"/);
      expect(await site.prober.tcp(PORT)).toBe("open");
      expect(await site.prober.tcp({ ...PORT, from: CLIENT.other4 })).not.toBe("open");
    });
  }

  it("a reload takes a new configuration over, and leases stay; a wrong one changes nothing", async () => {
    await using served = await Served.start(nftables, UNIX);
    const { host, site } = served;
    await site.knock(served.instance);
    const pid = await host.property("wkfs-daemon", "MainPID");

    await served.configure({ protect: { tcp: [2222, 2223], maxTime: 900 } });
    expect(await site.prober.tcp({ ...PORT, port: 2223 })).toBe("open");
    await host.run("systemctl", "reload", "wkfs-daemon", "wkfs-gateway");
    await host.says('"msg":"reloaded"', 2);
    expect(await site.prober.tcp({ ...PORT, port: 2223 })).not.toBe("open");
    expect(await site.prober.tcp(PORT)).toBe("open");
    expect(await site.knock(served.instance, { args: ["--tcp", "2223"] })).toMatchObject({ code: 0 });
    expect(await site.prober.tcp({ ...PORT, port: 2223 })).toBe("open");
    expect(await host.property("wkfs-daemon", "MainPID")).toBe(pid);

    await served.configure({ protect: { tcp: [0] } });
    const wrong = await host.exec(["systemctl", "reload", "wkfs-daemon"]);
    expect(wrong.code).not.toBe(0);
    expect(host.logs()).toContain("expected a port");
    expect(await host.property("wkfs-daemon", "ActiveState")).toBe("active");
    expect(await site.knock(served.instance)).toMatchObject({ code: 0 });

    await served.configure({ protect: { tcp: [2222] }, transport: { ...UNIX, path: "/run/wkfs/other.sock" } });
    await host.run("systemctl", "reload", "wkfs-daemon");
    await host.says("a change of transport needs a restart");
    expect(await site.knock(served.instance)).toMatchObject({ code: 0 });
  });

  it("keys that were handed over at the start are not taken for those of the file", async () => {
    await using served = await Served.start(nftables, UNIX);
    const { host, site } = served;
    const keys = keyFile(freshKeys());
    await served.put("v1.json", keys);
    await host.run("systemctl", "reload", "wkfs-gateway");
    await host.says("was changed after the service manager had handed it over");
    expect(await site.knock(served.instance)).toMatchObject({ code: 0 });
    await host.run("systemctl", "restart", "wkfs-gateway");
    expect(await site.knock(served.instance)).toMatchObject({ code: 4 });
    await writeFile(join(site.folder, "wkfs.keys"), keys);
    expect(await site.knock(served.instance)).toMatchObject({ code: 0 });
  });

  it("a daemon that hangs or dies is started anew, and one that a wrong configuration ends is not", async () => {
    await using served = await Served.start(nftables, UNIX, "WatchdogSec=3\\n");
    const { host, site } = served;
    await site.knock(served.instance);
    await host.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "wkfs-daemon");
    await host.says('"name":"daemon","leases":1,', 1);
    expect(await host.property("wkfs-daemon", "NRestarts")).toBe("1");
    await host.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "wkfs-daemon");
    await host.says('"name":"daemon","leases":1,', 2);
    expect(await site.prober.tcp(PORT)).toBe("open");
    expect(await site.knock(served.instance)).toMatchObject({ code: 0 });

    await served.put("wkfs.yaml", "{}");
    expect((await host.exec(["systemctl", "restart", "wkfs-daemon"])).code).not.toBe(0);
    expect(await host.property("wkfs-daemon", "ActiveState")).toBe("failed");
    // The guard stands without it.
    expect(await site.prober.tcp({ ...PORT, from: CLIENT.other4 })).not.toBe("open");
  });

  it("the scripts for sysvinit start, reload, report and stop both halves, without systemd", async () => {
    await using served = await Served.start(nftables, UNIX);
    const { host, site } = served;
    await host.run("systemctl", "stop", "wkfs-gateway", "wkfs-daemon");
    // Here nobody hands secrets over.
    await host.run("chgrp", "wkfs-gateway", "/etc/wkfs/v1.json");
    await host.run("chmod", "0640", "/etc/wkfs/v1.json");
    const flags = ["--platform", "sysvinit", "--command", `${NODE} ${WKFS}`];
    expect(await host.wkfs("service", "install", ...flags)).toMatchObject({ code: 0 });
    const script = (name: string, word: string) => host.exec(["env", "WKFS_LOG=/mnt", `/etc/init.d/${name}`, word]);
    const log = (name: string) => readFile(join(site.folder, `${name}.log`), "utf8").catch(() => "");
    const says = async (name: string, text: string) => {
      const watcher = watch(site.folder);
      for (let changed = once(watcher, "change"); !(await log(name)).includes(text); changed = once(watcher, "change"))
        await changed;
      watcher.close();
    };
    expect(await script("wkfs-daemon", "status")).toMatchObject({ code: 3 });
    for (const name of ["wkfs-daemon", "wkfs-gateway"]) {
      expect(await script(name, "start")).toMatchObject({ code: 0, stderr: "" });
      await says(name, '"msg":"ready"');
      expect(await script(name, "status")).toMatchObject({ code: 0 });
      // A second one is not started.
      expect(await script(name, "start")).toMatchObject({ code: 0 });
    }
    expect(await site.knock(served.instance)).toMatchObject({ code: 0 });
    const [pid] = (await host.run("cat", "/run/wkfs-daemon.pid")).split("\n");
    expect(await host.run("grep", "-E", "^(Uid|CapEff|CapBnd|NoNewPrivs)", `/proc/${pid}/status`)).toMatch(
      /^Uid:\s+(?!0\s)\d+.*\nCapEff:\s+0*1000\nCapBnd:\s+0*1000\nNoNewPrivs:\s+1\n$/,
    );
    await served.configure({ protect: { tcp: [2222], maxTime: 30 } });
    expect(await script("wkfs-daemon", "reload")).toMatchObject({ code: 0 });
    await says("wkfs-daemon", '"msg":"reloaded"');
    await served.put("wkfs.yaml", "{}");
    expect((await script("wkfs-daemon", "reload")).code).not.toBe(0);
    for (const name of ["wkfs-gateway", "wkfs-daemon"]) {
      expect(await script(name, "stop")).toMatchObject({ code: 0 });
      expect(await script(name, "status")).toMatchObject({ code: 3 });
    }
    expect((await script("wkfs-daemon", "start")).code).not.toBe(0);
  });
});
