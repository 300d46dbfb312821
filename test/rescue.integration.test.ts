import { createHash } from "node:crypto";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type CommandResult, NetworkNamespace, whyNoKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { ADMIN, type PacketFilter, iptables, nftables, picture } from "./support/packet-filter.ts";
import { CLIENT, type Instance, type Role, SERVER, Site } from "./support/site.ts";

const CLI = fileURLToPath(new URL("../cli/bin/run.js", import.meta.url));
const target = { host: SERVER.ipv4, port: 2222 };
/** Seconds that a probation lasts here: both halves must be up within them, on a busy machine. */
const WITHIN = 20;

/** Rules of somebody who uses iptables. */
const ADMIN_IPTABLES = [
  ["iptables", "-A", "INPUT", "-p", "tcp", "--dport", "9", "-j", "DROP"],
  ["iptables", "-A", "INPUT", "-p", "tcp", "--dport", "2222", "-j", "ACCEPT"],
  ["iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"],
  ["iptables", "-P", "FORWARD", "DROP"],
  ["ip6tables", "-A", "OUTPUT", "-p", "udp", "--dport", "9", "-j", "DROP"],
];

/** An administrator whose rules drop by default, and who lets the rule for the protected port be taken out from between others. */
const TAKE_OUT = {
  iptables: {
    rules: [
      ["iptables", "-A", "INPUT", "-i", "lo", "-j", "ACCEPT"],
      ["iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"],
      ["iptables", "-A", "INPUT", "-p", "tcp", "--dport", "9", "-j", "DROP"],
      ["iptables", "-A", "INPUT", "-p", "tcp", "--dport", "2222", "-j", "ACCEPT"],
      ["iptables", "-A", "INPUT", "-p", "tcp", "--dport", "8080", "-j", "ACCEPT"],
      ["iptables", "-P", "INPUT", "DROP"],
    ],
    firewall: [{ use: "iptables", mode: "allow", position: 3, takeOut: ["-p tcp -m tcp --dport 2222 -j ACCEPT"] }],
    rule: "\n-A INPUT -p tcp -m tcp --dport 2222 -j ACCEPT\n",
  },
  nftables: {
    rules: [
      [
        "nft",
        `add table inet filter; add chain inet filter input { type filter hook input priority 0; policy drop; };
        add rule inet filter input iifname "lo" accept; add rule inet filter input ct state established,related accept;
        add rule inet filter input meta l4proto { icmp, icmpv6 } accept; add rule inet filter input tcp dport 9 counter drop;
        add rule inet filter input tcp dport 2222 accept; add rule inet filter input tcp dport 8080 accept`,
      ],
    ],
    firewall: [{ use: "nftables", mode: "allow", position: 3, takeOut: ["tcp dport 2222 accept"] }],
    rule: "\t\ttcp dport 2222 accept\n",
  },
} as const;

/** A host with an administrator's rules, one connection that stands, and wkfs configured and not active. */
class Activation implements AsyncDisposable {
  readonly site: Site;
  readonly instance: Instance;
  readonly before: string;
  /** The process that waits outside. */
  timer: number | undefined;
  until = 0;

  private constructor(site: Site, instance: Instance, before: string) {
    this.site = site;
    this.instance = instance;
    this.before = before;
  }

  static async of(
    filter: PacketFilter,
    rules: readonly (readonly string[])[] = ADMIN,
    firewall?: readonly object[],
  ): Promise<Activation> {
    const site = await Site.create(filter);
    for (const argv of rules) await site.server.run(...argv);
    const more = { control: { path: join(site.folder, "control.sock") }, ...(firewall && { firewall }) };
    const instance = await site.configure({ more });
    if ((await site.prober.keep("ssh", target)) !== "open") throw new Error("the server does not answer");
    return new Activation(site, instance, await picture(site.server));
  }

  /** Runs a command of wkfs on the server. */
  wkfs(...args: string[]): Promise<CommandResult> {
    return this.site.server.exec([process.execPath, CLI, ...args, "--config", this.instance.config]);
  }

  /** Activates from a session whose shell goes on, and gives what ends that session as a broken connection does: by force. */
  async activate(...flags: string[]): Promise<{ readonly endSession: () => void }> {
    const within = flags.includes("--within") ? [] : ["--within", `${WITHIN}s`];
    const command = [CLI, "activate", "--json", ...within, "--config", this.instance.config, ...flags];
    const session = this.site.server.spawn(
      ["setsid", "sh", "-c", '"$0" "$@"; echo; read _', process.execPath, ...command],
      {
        stdio: ["pipe", "pipe", "inherit"],
      },
    );
    let said = "";
    for await (const piece of session.stdout!.setEncoding("utf8") as AsyncIterable<string>) {
      said += piece;
      if (said.endsWith("}\n\n")) break;
    }
    const { until, timer } = JSON.parse(said) as { until: number; timer: string };
    this.until = until;
    this.timer = Number(/^process (\d+)/.exec(timer)?.[1]);
    return { endSession: () => void session.kill("SIGKILL") };
  }

  async start(): Promise<{ daemon: Role; gateway: Role }> {
    const [daemon, gateway] = await Promise.all([this.site.daemon(this.instance), this.site.gateway(this.instance)]);
    return { daemon, gateway };
  }

  readonly reach = (): Promise<unknown> => this.site.prober.tcp(target);

  /** The log of the timer, when it has ended: which nobody tells, for it is no child of ours. */
  async timerEnded(): Promise<string> {
    while (isAlive(this.timer!)) await new Promise((resolve) => setTimeout(resolve, 50));
    return await readFile(`${this.site.folder}-rescue/timer.log`, "utf8");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.timer !== undefined && isAlive(this.timer)) process.kill(this.timer, "SIGKILL");
    await this.site[Symbol.asyncDispose]();
  }
}

async function expectAsBefore({ site, before, reach }: Activation): Promise<void> {
  expect(await picture(site.server)).toBe(before);
  expect(await reach()).toBe("open");
  expect(await site.prober.still("ssh")).toBe("open");
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

for (const filter of [iptables, nftables]) {
  const reason = whyNoKernel(...filter.programs, "nft", "iptables", "ipset");
  const because = reason === undefined ? "" : ` (skipped: ${reason})`;
  describe
    .skipIf(reason !== undefined)
    .concurrent(`the way back, ${filter.name}${because}`, { timeout: 120_000 }, () => {
      it("is taken by itself when nobody confirms", async () => {
        await using own = await Activation.of(filter);
        await own.activate();
        const { daemon } = await own.start();
        expect(await own.reach()).toBe("silent");
        expect(Date.now()).toBeLessThan(own.until);
        expect(await own.site.prober.still("ssh")).toBe("open");
        expect(await daemon.ended).toBe(6);
        expect(await own.timerEnded()).toMatch(/the packet filter is what it was before the activation/);
        await expectAsBefore(own);
      });

      it("is taken though daemon, gateway and session are killed", async () => {
        await using own = await Activation.of(filter, ADMIN_IPTABLES);
        const { endSession } = await own.activate();
        const { daemon, gateway } = await own.start();
        expect(await own.reach()).toBe("silent");
        endSession();
        await Promise.all([daemon.end("SIGKILL"), gateway.end("SIGKILL")]);
        expect(await own.reach()).toBe("silent");
        expect(Date.now()).toBeLessThan(own.until);
        await own.timerEnded();
        await expectAsBefore(own);
      });

      it("is opened by the kernel when the timer is killed as well, and `wkfs rescue` does the rest; rules to take out were never out", async () => {
        const { rules, firewall, rule } = TAKE_OUT[filter.name];
        await using own = await Activation.of(filter, rules, firewall);
        const { endSession } = await own.activate();
        const { daemon, gateway } = await own.start();
        endSession();
        await Promise.all([daemon.end("SIGKILL"), gateway.end("SIGKILL")]);
        process.kill(own.timer!, "SIGKILL");
        expect(await own.reach()).toBe("silent");
        expect(await picture(own.site.server)).toContain(rule);
        // iptables goes on for the whole of its last second.
        while ((await own.reach()) !== "open") expect(Date.now()).toBeLessThan(own.until + 5000);
        expect(Date.now()).toBeGreaterThanOrEqual(own.until);
        expect(await picture(own.site.server)).not.toBe(own.before);
        for (let time = 1; time <= 2; time += 1) {
          expect(await own.wkfs("rescue")).toMatchObject({ code: 0, stderr: "" });
          await expectAsBefore(own);
        }
      });

      it("is a reboot: what was on probation is not guarded afterwards", async () => {
        await using own = await Activation.of(filter);
        await own.activate("--within", "10m");
        const { daemon, gateway } = await own.start();
        expect(await own.reach()).toBe("silent");
        await Promise.all([daemon.end("SIGKILL"), gateway.end("SIGKILL")]);
        process.kill(own.timer!, "SIGKILL");
        // The state's folder is kept. The kernel's state is gone, and it is another boot.
        await using rebooted = await NetworkNamespace.create();
        const clean = await picture(rebooted);
        const boot = join(own.site.folder, "boot-id");
        await writeFile(boot, "00000000-0000-4000-8000-000000000001\n");
        const inAnotherBoot = [
          "unshare",
          "--mount",
          "sh",
          "-c",
          'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"',
          boot,
        ];
        const daemonAgain = [process.execPath, CLI, "daemon", "--config", own.instance.config];
        const started = await rebooted.exec([...inAnotherBoot, ...daemonAgain]);
        expect(started).toMatchObject({
          code: 6,
          stderr: /Error: .*rebooted before anybody confirmed.*\nHint: .*wkfs activate/,
        });
        expect(await picture(rebooted)).toBe(clean);
      });

      it("puts rules back to their places that a confirmed daemon took out, however that ended", async () => {
        const { rules, firewall, rule } = TAKE_OUT[filter.name];
        await using own = await Activation.of(filter, rules, firewall);
        expect(own.before).toContain(rule);
        await own.activate("--confirm", "console", "--within", "10m");
        const { daemon } = await own.start();
        expect(await picture(own.site.server)).toContain(rule);
        expect((await own.site.knock(own.instance)).code).toBe(0);
        expect(await own.wkfs("confirm")).toMatchObject({ code: 0 });
        expect(await picture(own.site.server)).not.toContain(rule);
        expect(await own.reach()).toBe("open");
        expect(await own.site.prober.tcp({ ...target, from: CLIENT.other4 })).toBe("silent");
        // One that cannot start must not put back what the other took out.
        expect(await own.wkfs("daemon")).toMatchObject({ code: 1, stderr: /a daemon runs already/ });
        expect(await own.site.prober.tcp({ ...target, from: CLIENT.other4 })).toBe("silent");
        await daemon.end("SIGKILL");
        expect(await own.wkfs("uninstall", "--no-purge")).toMatchObject({ code: 0, stderr: "" });
        await expectAsBefore(own);
      });

      it("is taken past a confirmed guard of another firewall, which has no end of its own", async () => {
        await using own = await Activation.of(filter);
        await own.activate("--within", "10m");
        const { daemon } = await own.start();
        expect(await own.wkfs("confirm")).toMatchObject({ code: 0 });
        await daemon.end();
        expect(await own.reach()).toBe("silent");
        const other = filter === iptables ? nftables : iptables;
        await own.site.configure({ more: { firewall: other.section("wkfs") } });
        await own.activate("--within", "3s");
        expect(await own.timerEnded()).toMatch(/the packet filter is what it was before the activation/);
        await expectAsBefore(own);
      });

      it("is open for good after a knock and `wkfs confirm`; panic and uninstall take it", async () => {
        await using own = await Activation.of(filter);
        await own.activate("--confirm", "console");
        const first = await own.start();
        expect((await own.site.knock(own.instance)).code).toBe(0);
        expect(await own.reach()).toBe("open");
        expect((await own.wkfs("status")).stdout).toMatch(/^probation /m);
        expect(await own.wkfs("confirm")).toMatchObject({ code: 0, stdout: "Confirmed: the guard stays.\n" });
        expect(await own.wkfs("close", "10.91.0.2")).toMatchObject({ code: 0 });
        expect(await own.timerEnded()).toMatch(/Nothing to do: the activation is confirmed/);
        const tries = await own.site.prober.watch({ ...target, until: own.until + 1500, every: 200 });
        expect(tries.filter(({ open }) => open)).toEqual([]);
        expect(await own.site.prober.still("ssh")).toBe("open");
        expect(await own.wkfs("activate")).toMatchObject({ code: 1, stderr: /a daemon runs already/ });

        expect(await own.wkfs("panic")).toMatchObject({ code: 0, stderr: "" });
        expect(await first.daemon.ended).toBe(0);
        await expectAsBefore(own);
        // As a service manager does.
        expect(await own.wkfs("daemon")).toMatchObject({ code: 6, stderr: /`wkfs panic` opened the ports/ });
        await expectAsBefore(own);
        expect(await own.wkfs("panic", "--over")).toMatchObject({ code: 0 });
        const again = await own.site.daemon(own.instance);
        expect(await own.reach()).toBe("silent");

        const [ours, theirs] = ["ours.service", "theirs.service"].map((name) => join(own.site.folder, name));
        const sha256 = createHash("sha256").update("[Service]\n").digest("hex");
        const files = [ours, theirs].map((path) => ({ path, sha256 }));
        await writeFile(join(own.site.folder, "installed-files.json"), JSON.stringify({ version: 1, files }));
        await writeFile(ours!, "[Service]\n");
        await writeFile(theirs!, "[Service]\nUser=somebody\n");
        const removed = await own.wkfs("uninstall", "--no-purge");
        expect(removed).toMatchObject({ code: 1, stdout: expect.stringContaining(`removed ${ours}`) });
        expect(removed.stdout).toContain(`${theirs} stays: somebody has changed it`);
        expect(await again.ended).toBe(0);
        await expectAsBefore(own);
        expect(await own.wkfs("uninstall", "--purge")).toMatchObject({ code: 0 });
        const left = (await readdir(own.site.folder)).filter(
          (name) => !/^(theirs\.service|wkfs-client\.yaml.*)$/.test(name),
        );
        expect(left).toEqual(["wkfs.secret"]);
        await expectAsBefore(own);
      });

      it("is taken by a knock from another host, and found with a broken configuration", async () => {
        await using own = await Activation.of(filter);
        await own.activate("--within", "10m");
        const { daemon } = await own.start();
        expect((await own.site.knock(own.instance)).code).toBe(0);
        await daemon.says("confirmed: the guard stays");
        expect(await own.timerEnded()).toMatch(/confirmed/);
        await daemon.end("SIGKILL");
        await writeFile(own.instance.config, "protect: { tpc: [2222] }\n");
        expect(await own.wkfs("rescue", "--state-dir", own.site.folder)).toMatchObject({ code: 0 });
        await expectAsBefore(own);
      });
    });
}
