import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkServerConfig, credentialName } from "@wkfs/core/config";
import { describe, expect, it } from "vitest";
import { Sandbox } from "../../testing/wkfs.ts";
import type { Command, Definition, Role } from "./definition.ts";
import { installServices } from "./install-services.ts";
import { installedFiles, isAsWritten } from "./installed-files.ts";
import { type Platform, serviceDefinitions } from "./services.ts";

const COMMAND: Command = {
  argv: ["/usr/bin/node", "/opt/wkfs/cli/bin/run.js"],
  config: "/etc/wkfs/wkfs.yaml",
  dataDir: "/var/lib/wkfs",
  home: "/home/somebody",
};
const MAIL = { use: "smtp-email", host: "mail.example.org", from: "a@example.org", to: ["b@example.org"] };
const SERVER = {
  protect: { tcp: [22] },
  gateway: { listen: "127.0.0.1:8080", path: "/x", keys: "v1.json" },
  transport: { use: "unix-socket", path: "/run/wkfs/daemon.sock", group: "wkfs-gateway" } as object,
  firewall: [{ use: "nftables" }] as object[],
  store: { use: "sqlite", path: "/var/lib/wkfs/wkfs.db" },
  control: { path: "/run/wkfs/control.sock" },
};
const OVER_TCP = { use: "localhost-tcp", secret: "transport.secret" };

async function definitions(platform: Platform, change: object = {}, role?: Role): Promise<Definition[]> {
  const config = () => checkServerConfig({ ...SERVER, ...change }, undefined, "/etc/wkfs");
  return await serviceDefinitions({ platform, role, command: COMMAND, config });
}

async function unit(role: Role, change: object = {}): Promise<string> {
  return (await definitions("systemd", change, role))[0]!.text;
}

/** Whether a program that checks our text is missing, with the reason for a title. Where all tests are mandatory it must be there. */
function lack(program: string): { readonly missing: boolean; readonly because: string } {
  const missing = spawnSync(program, ["--version"]).error !== undefined;
  if (missing && process.env["WKFS_REQUIRE_KERNEL"] === "1") throw new Error(`${program} is not installed`);
  return { missing, because: missing ? ` (skipped: ${program} is not installed)` : "" };
}

/** Runs a program on text in a file of this name. */
async function run(name: string, text: string, ...argv: string[]) {
  const folder = await mkdtemp(join(tmpdir(), "service-"));
  try {
    await writeFile(join(folder, name), text);
    return spawnSync(argv[0]!, [...argv.slice(1), join(folder, name)], { encoding: "utf8" });
  } finally {
    await rm(folder, { recursive: true });
  }
}

const [analyze, xmllint, shellcheck] = [lack("systemd-analyze"), lack("xmllint"), lack("shellcheck")];

describe.skipIf(analyze.missing)(`a systemd unit${analyze.because}`, () => {
  /** The exposure of each service that is written for a configuration, by its name. */
  async function exposures(change: object): Promise<Record<string, number>> {
    const found: Record<string, number> = {};
    for (const { path, text } of await definitions("systemd", change)) {
      const [, name] = /\/([^/]+)\.service$/.exec(path) ?? [];
      if (name === undefined) continue;
      const argv = ["systemd-analyze", "security", "--offline=true", "--no-pager"];
      const { stdout, stderr } = await run(`${name}.service`, text, ...argv);
      const [, score] = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout) ?? [];
      expect(stderr).toBe("");
      found[name] = Number(score);
    }
    return found;
  }
  const syslog = (to?: string) => ({ use: "syslog", ...(to !== undefined && { to }) });

  // What SECURITY.md says of these.
  it.each([
    ["as it is proposed", {}, 1.4, {}],
    ["and tells this host's log", { notify: [syslog()] }, 1.4, {}],
    ["over TCP", { transport: OVER_TCP }, 1.3, {}],
    ["with iptables without sets", { firewall: [{ use: "iptables", ipset: "never" }] }, 1.4, {}],
    ["and sends mail", { notify: [MAIL] }, 1.4, { "wkfs-relay-mail.example.org-587": 1.1 }],
    [
      "and tells whomever it can",
      {
        transport: OVER_TCP,
        notify: [
          { ...MAIL, host: "localhost", port: 25 },
          { use: "webhook", url: "https://[2001:db8::1]/x" },
          syslog("tls://log.example.org:6514"),
        ],
      },
      1.3,
      { "wkfs-relay-localhost-25": 0.9, "wkfs-relay-2001-db8--1-443": 1, "wkfs-relay-log.example.org-6514": 1.1 },
    ],
    ["open to everybody", { gateway: { ...SERVER.gateway, listen: "0.0.0.0:443" } }, 1.4, { "wkfs-gateway": 0.8 }],
    ["of several processes", { gateway: { ...SERVER.gateway, workers: 2 } }, 1.4, { "wkfs-gateway": 1.1 }],
    [
      "behind a socket",
      { gateway: { ...SERVER.gateway, listen: "unix:/run/wkfs-gateway/http.sock" } },
      1.4,
      { "wkfs-gateway": 0.8 },
    ],
  ] as const)("of a server %s is exposed by 1.5 at most", async (_how, change, daemon, others) => {
    const found = await exposures(change);
    expect(found).toMatchObject({ "wkfs-daemon": daemon, ...others });
    for (const exposure of Object.values(found)) expect(exposure).toBeLessThanOrEqual(1.5);
  });

  it.each([
    ["daemon", "with iptables", { firewall: [{ use: "iptables" }] }, 1.8],
    ["daemon", "with iptables, over TCP", { firewall: [{ use: "iptables" }], transport: OVER_TCP }, 1.7],
    ["daemon", "that tells nobody knows whom", { notify: [{ use: "webhook", urlFile: "hook" }] }, 1.9],
    ["daemon", "that sends datagrams", { notify: [syslog("udp://log.example.org:514")] }, 1.9],
    [
      "gateway",
      "of several processes on a low port",
      { gateway: { ...SERVER.gateway, listen: "0.0.0.0:443", workers: 2 } },
      1.6,
    ],
  ] as const)("of a %s %s is exposed by as much as is documented", async (role, _how, change, most) => {
    expect((await exposures(change))[`wkfs-${role}`]).toBe(most);
  });
});

describe("a systemd unit", () => {
  it("gives no more rights than the configuration needs", async () => {
    const plain = await unit("daemon");
    expect(plain).toMatch(/^CapabilityBoundingSet=CAP_NET_ADMIN$/m);
    expect(plain).toMatch(/^RestrictAddressFamilies=AF_UNIX AF_NETLINK$/m);
    expect(plain).toMatch(/^IPAddressDeny=any$/m);
    expect(plain).not.toMatch(/IPAddressAllow|LoadCredential/);
    expect(await unit("daemon", { firewall: [{ use: "iptables" }] })).toMatch(
      /^AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW$/m,
    );
    expect(await unit("daemon", { firewall: [{ use: "iptables", ipset: "never" }] })).toMatch(
      /^AmbientCapabilities=CAP_NET_ADMIN$/m,
    );
    const overTcp = { transport: { ...OVER_TCP, host: "::1", port: 991 } };
    const tcp = await unit("daemon", overTcp);
    expect(tcp).toMatch(/^CapabilityBoundingSet=CAP_NET_ADMIN$/m);
    expect(tcp).toMatch(/^RestrictAddressFamilies=AF_UNIX AF_NETLINK$/m);
    expect(tcp).toMatch(/^IPAddressDeny=any$/m);
    expect(tcp).not.toContain("IPAddressAllow");
    const socket = (await definitions("systemd", overTcp)).find(({ path }) => path.endsWith("/wkfs-daemon.socket"));
    expect(socket!.text).toMatch(/^ListenStream=\[::1\]:991$/m);
    expect((await definitions("systemd")).map(({ path }) => path)).not.toContain(socket!.path);
    expect((await definitions("openrc", overTcp))[0]!.text).toContain("^cap_net_bind_service");
    expect(tcp).toContain(
      `LoadCredential=${credentialName("/etc/wkfs/transport.secret")}:/etc/wkfs/transport.secret\n`,
    );
    const udp = { use: "syslog", to: "udp://log.example.org:514" };
    expect(await unit("daemon", { notify: [udp] })).not.toContain("IPAddress");
    const mails = await unit("daemon", { notify: [MAIL] });
    expect(mails).toMatch(/^RestrictAddressFamilies=AF_UNIX AF_NETLINK$/m);
    expect(mails).toMatch(/^IPAddressDeny=any$/m);
    expect(await unit("daemon", { notify: [MAIL, MAIL] })).toBe(mails);
    expect(await unit("daemon", { notify: [{ use: "webhook", urlFile: "hook" }] })).toContain(":/etc/wkfs/hook\n");
    const gateway = await unit("gateway");
    expect(gateway).toMatch(/^CapabilityBoundingSet=$/m);
    expect(gateway).not.toMatch(/StateDirectory|RuntimeDirectory|NETLINK/);
    expect(gateway).toContain("LoadCredential=etc-wkfs-v1.json:/etc/wkfs/v1.json\n");
    const lowPort = { ...SERVER.gateway, listen: "[::]:443" };
    expect(await unit("gateway", { gateway: lowPort })).toMatch(
      /^AmbientCapabilities=\nRestrictAddressFamilies=AF_UNIX\nIPAddressDeny=any$/m,
    );
    expect(await unit("gateway", { gateway: { ...lowPort, workers: 2 } })).toMatch(
      /^AmbientCapabilities=CAP_NET_BIND_SERVICE$/m,
    );
  });

  it("does not put the gateway's socket where the gateway may make none", async () => {
    await expect(
      unit("gateway", { gateway: { ...SERVER.gateway, listen: "unix:/run/wkfs/http.sock" } }),
    ).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
  });

  it("leaves no plugin in a folder that becomes the daemon's user's", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "service-"));
    try {
      const store = { use: "sqlite", path: join(dataDir, "wkfs.db") };
      const config = () => checkServerConfig({ ...SERVER, store }, undefined, "/etc/wkfs");
      const request = { platform: "systemd", role: undefined, command: { ...COMMAND, dataDir }, config } as const;
      expect(await serviceDefinitions(request)).not.toEqual([]);
      await mkdir(join(dataDir, "node_modules"));
      await expect(serviceDefinitions(request)).rejects.toMatchObject({
        code: "CONFIG_INVALID",
        message: expect.stringContaining("plugins are installed there"),
      });
    } finally {
      await rm(dataDir, { recursive: true });
    }
  });

  it("takes words of any kind as one", async () => {
    const command = { ...COMMAND, config: '/etc/a "b" 100%/$x.yaml' };
    const config = () => checkServerConfig(SERVER, undefined, "/etc/wkfs");
    const [file] = await serviceDefinitions({ platform: "systemd", role: "daemon", command, config });
    expect(file!.text).toContain('daemon --config "/etc/a \\"b\\" 100%%/$$x.yaml"\n');
  });
});

describe.skipIf(xmllint.missing)(`definitions in XML${xmllint.because}`, () => {
  it.each(["launchd", "windows"] as const)(`of %s are well-formed, whatever stands in them`, async (platform) => {
    const command = { ...COMMAND, config: '/home/a & b/<c>/"d".yaml' };
    const config = () => Promise.reject(new Error("a client needs no server's configuration"));
    const [file] = await serviceDefinitions({ platform, role: undefined, command, config });
    const read = await run("file.xml", file!.text, "xmllint", "--nonet", "--xpath", "//text()");
    expect(read).toMatchObject({ status: 0, stderr: "" });
    expect(file!.text).toContain(platform === "windows" ? "&quot;d\\&quot;" : "&lt;c&gt;");
  });
});

describe("definitions for other systems", () => {
  it.each(["launchd", "windows"] as const)("of %s are of a client only", async (platform) => {
    await expect(definitions(platform, {}, "daemon")).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});

describe.skipIf(shellcheck.missing)(`definitions as scripts${shellcheck.because}`, () => {
  it.each(["openrc", "sysvinit"] as const)("of %s are sound", async (platform) => {
    const files = await definitions(platform, { transport: OVER_TCP, firewall: [{ use: "iptables" }] });
    expect(files.map(({ path }) => path)).toEqual(["/etc/init.d/wkfs-daemon", "/etc/init.d/wkfs-gateway"]);
    for (const { text } of files) {
      // What openrc-run reads are variables that nobody else uses.
      const { stdout, status } = await run("script", text, "shellcheck", "--shell=sh", "--exclude=SC2034");
      expect({ stdout, status }).toEqual({ stdout: "", status: 0 });
    }
  });
});

describe("wkfs service install", () => {
  it("writes what print prints, anew where it is ours, and refuses what is somebody else's", async () => {
    await using host = await Sandbox.create();
    const [root, folder] = [host.path("root"), host.path("etc")];
    await host.wkfs(
      "install",
      "server",
      "--tcp",
      "22",
      "--dir",
      folder,
      "--state-dir",
      host.path("state"),
      "--firewall",
      "dry-run",
    );
    const flags = ["--config", join(folder, "wkfs.yaml"), "--command", "/usr/local/bin/wkfs", "--platform", "systemd"];
    const printed = JSON.parse((await host.wkfs("service", "print", ...flags, "--json")).stdout) as {
      files: Definition[];
    };
    const install = async (...more: string[]) => {
      const { stdout, code } = await host.wkfs("service", "install", ...flags, "--root", root, "--json", ...more);
      return { code, ...(JSON.parse(stdout) as { written: string[]; unchanged: string[]; error?: { code: string } }) };
    };
    const paths = printed.files.map(({ path }) => join(root, path));
    expect(await install()).toMatchObject({ code: 0, written: paths, unchanged: [] });
    expect((await stat(paths[0]!)).mode & 0o777).toBe(0o644);
    expect(await install()).toMatchObject({ code: 0, written: [], unchanged: paths });
    const recorded = await installedFiles(folder);
    expect(recorded.map(({ path }) => path)).toEqual(paths);
    expect(await Promise.all(recorded.map(isAsWritten))).toEqual(paths.map(() => true));

    await writeFile(paths[0]!, "[Service]\n# mine\n");
    expect(await isAsWritten(recorded[0]!)).toBe(false);
    expect(await install()).toMatchObject({ code: 2, error: { code: "CONFIG_INVALID" } });
    expect(await install("--force")).toMatchObject({ code: 0, written: [paths[0]] });
  });

  it("goes by no list that somebody else can write", async () => {
    await using host = await Sandbox.create();
    const config = () => checkServerConfig(SERVER, undefined, "/etc/wkfs");
    const request = { platform: "systemd", role: "daemon", command: COMMAND, config } as const;
    const installation = { ...request, folder: host.dir, root: host.path("root"), force: false };
    await installServices(installation);
    const { chmod } = await import("node:fs/promises");
    await chmod(host.path("installed-files.json"), 0o666);
    await expect(installServices(installation)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});
