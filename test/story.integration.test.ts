import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { whyNoKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { picture } from "./support/packet-filter.ts";
import { CLIENT, SERVER, Site } from "./support/site.ts";
import { Ssh, whyNoSsh } from "./support/ssh.ts";
import { NODE, SystemdHost, WKFS, whyNoSystemd } from "./support/systemd-host.ts";

const reason = whyNoKernel("nft", "iptables", "ipset", "systemctl", "systemd-sysusers") ?? whyNoSsh() ?? whyNoSystemd();
const because = reason === undefined ? "" : ` (skipped: ${reason})`;

/** Rules that hosts have before, by which the packet filter to write is proposed; and how the two stories differ. */
const HOSTS = [
  {
    proposed: "nftables",
    rules: [
      ["nft", "add table inet mine"],
      ["nft", "add chain inet mine input { type filter hook input priority 5; }"],
      ["nft", "add rule inet mine input tcp dport 9 counter drop"],
      ["nft", "add set inet mine theirs { type ipv4_addr; elements = { 192.0.2.1 } }"],
    ],
    confirmedBy: "console",
    purge: false,
  },
  {
    proposed: "iptables",
    rules: [
      ["iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"],
      ["iptables", "-A", "INPUT", "-p", "tcp", "--dport", "22", "-m", "comment", "--comment", "mine", "-j", "ACCEPT"],
      ["iptables", "-P", "FORWARD", "DROP"],
      ["ip6tables", "-A", "OUTPUT", "-p", "udp", "--dport", "9", "-j", "DROP"],
      ["ipset", "create", "theirs", "hash:ip"],
    ],
    confirmedBy: "knock",
    purge: true,
  },
] as const;

/** Every process and every file of wkfs on the host. */
async function traces(host: SystemdHost): Promise<{ readonly processes: string; readonly files: string[] }> {
  // Processes in a bracket are the kernel's; the command that looks is one too.
  const { stdout: processes } = await host.exec(["pgrep", "-a", "-f", "[w]kfs|[i]pset|[n]ft"]);
  const files = await host.run("find", "/etc", "/run", "/var", "/tmp", "-path", "*wkfs*");
  return { processes, files: files.split("\n").filter(Boolean).toSorted() };
}

describe
  .skipIf(reason !== undefined)
  .concurrent(`the way of an administrator, on a host with systemd and an sshd${because}`, { timeout: 60_000 }, () => {
    it.each(HOSTS)("with rules for $proposed, confirmed by $confirmedBy", async (story) => {
      await using site = await Site.create();
      await using host = await SystemdHost.boot(site.server, site.folder);
      const user = await Ssh.start(site.folder, site.server, site.client);
      for (const rule of story.rules) await site.server.run(...rule);
      const before = await picture(site.server);
      const direct = ["-o", "ProxyCommand=none", "-o", "ConnectTimeout=1", "-b", CLIENT.other4];
      const ssh22 = { host: SERVER.ipv4, port: 22 };
      const session = await user.keep(direct);

      // Nothing but what each command says comes next.
      const url = `http://${SERVER.ipv4}:8080`;
      const installed = await host.wkfs("install", "server", "--yes", "--listen", "0.0.0.0:8080", "--url", url);
      expect(installed).toMatchObject({ code: 0, stderr: "" });
      expect(installed.stdout).toMatch(new RegExp(`^ {2}firewall +${story.proposed}`, "m"));
      expect(installed.stdout).toContain("\n  wkfs service install\n  wkfs activate\n");
      expect(await host.wkfs("service", "install", "--command", `${NODE} ${WKFS}`)).toMatchObject({
        code: 0,
        stderr: "",
        stdout: expect.stringMatching(/Then:\n {2}wkfs activate/),
      });
      expect(await picture(site.server)).toBe(before);
      expect(await host.wkfs("activate", "--confirm", story.confirmedBy)).toMatchObject({ code: 0, stderr: "" });
      expect(await site.prober.tcp(ssh22)).toBe("silent");
      expect(await session("still")).toBe("still");

      const block = await host.wkfs("client", "export");
      await writeFile(join(site.folder, "block"), block.stdout, { mode: 0o600 });
      const took = await user.run(["wkfs", "client", "install", "--from", join(site.folder, "block")]);
      expect(took).toMatchObject({ code: 0, stderr: "" });
      // One line in ssh's configuration, and `ssh` knocks and logs in.
      const knocked = await user.ssh("echo $SSH_CONNECTION");
      expect(knocked).toMatchObject({ code: 0, stdout: expect.stringMatching(/^10\.91\.0\.2 \d+ 10\.91\.0\.1 22\n$/) });
      expect(await user.ssh("true", { flags: direct })).toMatchObject({
        code: 255,
        stderr: expect.stringContaining("timed out"),
      });
      const { stdout: status } = await host.wkfs("status");
      expect(/^probation/m.test(status)).toBe(story.confirmedBy === "console");
      expect(await host.wkfs("confirm")).toMatchObject({ code: 0, stdout: expect.stringContaining("the guard stays") });
      expect(await host.property("wkfs-daemon", "UnitFileState")).toBe("enabled");
      expect(await site.prober.tcp({ ...ssh22, from: CLIENT.other4 })).toBe("silent");

      const removed = await host.wkfs("uninstall", story.purge ? "--purge" : "--no-purge");
      expect(removed).toMatchObject({
        code: 0,
        stderr: "",
        stdout: expect.stringMatching(
          /the daemon \(pid \d+\) was told to stop and did\n[^]*the packet filter is what it was before the activation/,
        ),
      });
      expect(await picture(site.server)).toBe(before);
      expect(await site.prober.tcp(ssh22)).toBe("open");
      expect(await session("still")).toBe("still");
      const { processes, files } = await traces(host);
      expect(processes).toBe("");
      expect(files).toEqual(story.purge ? [] : expect.arrayContaining(["/etc/wkfs/v1.json", "/var/lib/wkfs/wkfs.db"]));
      expect(files.filter((path) => !/^\/(etc|var\/lib)\/wkfs(-rescue)?(\/|$)/.test(path))).toEqual([]);
    });

    it("when nobody confirms, everything is as it was, and the daemon does not start again", async () => {
      await using site = await Site.create();
      await using host = await SystemdHost.boot(site.server, site.folder);
      const { rules } = HOSTS[1];
      for (const rule of rules) await site.server.run(...rule);
      const before = await picture(site.server);
      const flags = ["--yes", "--tcp", "2222", "--listen", "0.0.0.0:8080", "--url", `http://${SERVER.ipv4}:8080`];
      expect(await host.wkfs("install", "server", ...flags)).toMatchObject({ code: 0 });
      expect(await host.wkfs("service", "install", "--command", `${NODE} ${WKFS}`)).toMatchObject({ code: 0 });
      expect(await host.wkfs("activate", "--within", "10s")).toMatchObject({ code: 0, stderr: "" });
      expect(await site.prober.tcp({ host: SERVER.ipv4, port: 2222 })).toBe("silent");
      // What systemd's timer runs, after the daemon has taken everything down itself.
      await host.journalSays("the packet filter is what it was before the activation");
      expect(await picture(site.server)).toBe(before);
      expect(await host.property("wkfs-daemon", "ExecMainStatus")).toBe("6");
      expect(await host.property("wkfs-daemon", "ActiveState")).toBe("failed");
    });
  });
