import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadServerConfig } from "@wkfs/core/config";
import { NetworkNamespace, whyNoKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { MailServer } from "../../../plugins/smtp-email/testing/server.ts";
import { KEY } from "../../testing/terminal.ts";
import { RUN, Sandbox } from "../../testing/wkfs.ts";
import type { ServerOutcome } from "./server.ts";

const reason = whyNoKernel("nft", "iptables", "ipset", "script");
const because = reason === undefined ? "" : ` (skipped: ${reason})`;

const FOLDERS = ["--dir", "etc", "--state-dir", "state"];

/** Listens where it is told, until the host is gone. */
async function listening(host: NetworkNamespace, ...ports: number[]): Promise<void> {
  const program = `let left = ${ports.length};
    for (const port of [${ports.join()}]) require("node:net").createServer().listen(port, "0.0.0.0", () => (left -= 1) || console.log("up"));`;
  const child = host.spawn([process.execPath, "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout!, "data");
}

/** Every file below a folder, with its mode and what is in it. */
async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const lines = entries.map(async (entry) => {
    const path = join(entry.parentPath, entry.name);
    const { mode } = await stat(path);
    const text = entry.isFile()
      ? createHash("sha256")
          .update(await readFile(path))
          .digest("hex")
      : "";
    return `${path} ${mode.toString(8)} ${text}`;
  });
  return (await Promise.all(lines)).toSorted();
}

async function rulesOf(host: NetworkNamespace): Promise<string> {
  const texts = [
    ...["inet", "ip", "ip6"].map((family) => ["nft", "list", "ruleset", family]),
    ["iptables-save"],
    ["ip6tables-save"],
    ["ipset", "save"],
  ];
  const read = await Promise.all(texts.map((argv) => host.run(...argv)));
  return read
    .join("\n")
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll(/(\[\d+:\d+\]| timeout \d+s expires \S+| initval \S+)/g, "");
}

const UFW = [
  "-N ufw-before-input",
  "-A INPUT -j ufw-before-input",
  "-A ufw-before-input -i lo -j ACCEPT",
  "-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
  "-A ufw-before-input -p tcp -m tcp --dport 22 -j ACCEPT",
  "-P INPUT DROP",
];

describe.skipIf(reason !== undefined)(`on a host of its own${because}`, () => {
  it("a dry run changes nothing, neither files nor rules, and asks nothing without a terminal", async () => {
    await using host = await NetworkNamespace.create();
    await using sandbox = await Sandbox.create();
    await listening(host, 22);
    for (const rule of UFW) await host.run("iptables", ...rule.split(" "));
    const [files, rules] = [await filesBelow(sandbox.dir), await rulesOf(host)];
    const ran = await sandbox.wkfsOn(host, "install", "server", ...FOLDERS, "--yes", "--dry-run");
    expect({ code: ran.code, stderr: ran.stderr }).toEqual({ code: 0, stderr: "" });
    expect(ran.stdout).toMatch(/^ {2}tcp\/22\t\S+\t0\.0\.0\.0$/m);
    expect(ran.stdout).toContain("those of iptables (ufw)");
    expect(ran.stdout).toContain("iptables-restore --noflush <<'END'\n*filter\n:wkfs");
    expect(ran.stdout).toContain("This was a dry run: nothing was written.");
    expect(await filesBelow(sandbox.dir)).toEqual(files);
    expect(await rulesOf(host)).toBe(rules);
  });

  it("without a terminal and without --yes, a missing port is an error that names the flag", async () => {
    await using host = await NetworkNamespace.create();
    await using sandbox = await Sandbox.create();
    await listening(host, 22);
    const { code, stderr } = await sandbox.wkfsOn(host, "install", "server", ...FOLDERS);
    expect(code).toBe(2);
    expect(stderr).toContain("--tcp and --udp");
    await expect(stat(sandbox.path("etc"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  describe("the transaction of the plan is the one that the daemon applies", () => {
    const NATIVE = `table inet filter {
    chain input {
      type filter hook input priority 0; policy drop;
      iif lo accept
      ct state established,related accept
      tcp dport 22 accept
      tcp dport 80 accept
    }
  }`;
    for (const [name, rules, flags] of [
      ["nftables, guard", "", ["--firewall", "nftables"]],
      ["nftables, allow", NATIVE, ["--firewall", "nftables", "--mode", "allow", "--take-out-accepting"]],
      ["iptables, guard", "", ["--firewall", "iptables", "--firewall", "ip6tables"]],
      ["iptables, allow", "iptables", ["--firewall", "iptables", "--mode", "allow", "--take-out-accepting"]],
    ] as const) {
      it(`with ${name}`, async () => {
        await using host = await NetworkNamespace.create();
        await using sandbox = await Sandbox.create();
        await using twin = await NetworkNamespace.create();
        for (const one of [host, twin]) {
          if (rules === "iptables")
            for (const rule of [...UFW, "-A INPUT -p tcp --dport 22 -j ACCEPT"])
              await one.run("iptables", ...rule.split(" "));
          else await one.exec(["nft", "-f", "-"], rules);
        }
        const args = ["--tcp", "22", "--udp", "1194", ...FOLDERS, ...flags, "--json"];
        const { code, stdout } = await sandbox.wkfsOn(host, "install", "server", ...args);
        expect(code).toBe(0);
        const { plan } = JSON.parse(stdout) as ServerOutcome;
        const daemon = host.spawn([process.execPath, RUN, "daemon", "--config", sandbox.path("etc/wkfs.yaml")], {
          stdio: ["ignore", "ignore", "pipe"],
        });
        for await (const line of daemon.stderr!) if (/"msg":"ready"/.test(String(line))) break;
        expect(plan.transactions).not.toContain(null);
        for (const text of plan.transactions) await twin.run("sh", "-ec", text!);
        const applied = await rulesOf(host);
        expect(applied).toMatch(/wkfs/);
        expect(await rulesOf(twin)).toBe(applied);
      });
    }
  });

  it("a person at a terminal answers, sees the plan, and agrees; a second run shows what changes and keeps the keys", async () => {
    await using host = await NetworkNamespace.create();
    await using sandbox = await Sandbox.create();
    await listening(host, 22, 8443);
    {
      await using terminal = sandbox.terminal(["install", "server", ...FOLDERS], host);
      await terminal.answer(/Which ports shall be closed/, KEY.enter);
      await terminal.answer(/Others \(such as/, `udp/1194${KEY.enter}`);
      await terminal.answer(/Longest time/, `5m${KEY.enter}`);
      await terminal.answer(/How do clients reach/, KEY.down + KEY.enter);
      await terminal.answer(/Where does the gateway listen/, KEY.enter);
      await terminal.answer(/The URL that clients use/, KEY.enter);
      await terminal.answer(/Which packet filter/, KEY.enter);
      await terminal.answer(/Who closes the ports/, KEY.enter);
      await terminal.answer(/How do gateway and daemon/, KEY.enter);
      await terminal.answer(/Who is told/, KEY.enter);
      await terminal.until(/add rule inet wkfs guard tcp dport \{ 22 \} drop/);
      await terminal.until(/location = \/[0-9a-f]{32} \{/);
      // Nothing yet.
      await expect(stat(sandbox.path("etc"))).rejects.toMatchObject({ code: "ENOENT" });
      await terminal.answer(/Write these files\?/, KEY.enter);
      await terminal.answer(/Write the services of this server now/, KEY.enter);
      await terminal.answer(/Put up the guard now, on probation/, KEY.enter);
      expect(await terminal.ended()).toBe(0);
    }
    const first = await loadServerConfig(sandbox.path("etc/wkfs.yaml"));
    expect(first.protect).toEqual({ tcp: [22], udp: [1194], maxTime: 300 });
    expect(first.gateway).toMatchObject({ listen: "127.0.0.1:8080", trustedProxies: ["127.0.0.1"] });
    expect(first.control).toEqual({ path: sandbox.path("state/control.sock"), group: undefined });
    const [keys, client] = [
      await readFile(first.keySets[0]!.keys, "utf8"),
      await readFile(sandbox.path("etc/client/client.yaml"), "utf8"),
    ];

    // What the administrator wrote by hand stays.
    const file = sandbox.path("etc/wkfs.yaml");
    await writeFile(file, `${await readFile(file, "utf8")}# by hand\nlimits: { leases: 77 }\n`);
    {
      await using terminal = sandbox.terminal(["install", "server", ...FOLDERS, "--max-time", "20m"], host);
      await terminal.answer(/Which ports shall be closed/, KEY.down + KEY.space + KEY.enter);
      for (const question of [
        /Others/,
        /How do clients reach/,
        /Where does the gateway/,
        /The URL/,
        /Which packet/,
        /Who closes/,
        /How do gateway/,
        /Who is told/,
      ])
        await terminal.answer(question, KEY.enter);
      await terminal.until(/- {2}tcp: \[22\]\s+\+ {2}tcp: \[22, 8443\]/);
      await terminal.answer(/Write these changes\?/, KEY.enter);
      await terminal.answer(/Write the services of this server now/, KEY.enter);
      await terminal.answer(/Put up the guard now, on probation/, KEY.enter);
      expect(await terminal.ended()).toBe(0);
    }
    const second = await loadServerConfig(file);
    expect(second.protect).toEqual({ tcp: [22, 8443], udp: [1194], maxTime: 1200 });
    expect(second.limits.leases).toBe(77);
    expect(await readFile(file, "utf8")).toContain("# by hand");
    expect(second.gateway).toEqual(first.gateway);
    expect(await readFile(first.keySets[0]!.keys, "utf8")).toBe(keys);
    expect(await readFile(sandbox.path("etc/client/client.yaml"), "utf8")).toBe(client);
  });

  it("a person who leaves at a question has changed nothing", async () => {
    await using host = await NetworkNamespace.create();
    await using sandbox = await Sandbox.create();
    await using terminal = sandbox.terminal(["install", "server", ...FOLDERS], host);
    await terminal.answer(/Others \(such as/, KEY.end);
    expect(await terminal.ended()).toBe(2);
    expect(terminal.screen).toContain("the questions were called off");
    await expect(stat(sandbox.path("etc"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("a person who says no has changed nothing", async () => {
    await using host = await NetworkNamespace.create();
    await using sandbox = await Sandbox.create();
    const flags = [
      "--tcp",
      "22",
      "--max-time",
      "60",
      "--behind",
      "none",
      "--listen",
      "127.0.0.1:8080",
      "--url",
      "http://gw1.example.org/x",
    ];
    const more = ["--path", "/x", "--firewall", "nftables", "--transport", "localhost-tcp", "--syslog", "/dev/log"];
    await using terminal = sandbox.terminal(["install", "server", ...FOLDERS, ...flags, ...more], host);
    await terminal.answer(/Send a test message/, `n${KEY.enter}`);
    await terminal.answer(/Write these files\?/, `n${KEY.enter}`);
    expect(await terminal.ended()).toBe(0);
    expect(terminal.screen).toContain("Nothing was written.");
    await expect(stat(sandbox.path("etc"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});

it("sends a test mail by a real mail server, and says when it does not go out", async () => {
  await using sandbox = await Sandbox.create();
  await using mails = await MailServer.start({ authOptional: true, disabledCommands: ["STARTTLS", "AUTH"] });
  const to = [
    "--smtp-host",
    "127.0.0.1",
    "--smtp-port",
    String(mails.port),
    "--smtp-from",
    "wkfs@example.org",
    "--smtp-to",
    "ops@example.org",
  ];
  const args = ["install", "server", "--tcp", "22", ...FOLDERS, "--firewall", "dry-run", ...to, "--test-mail"];
  const sent = await sandbox.wkfs(...args, "--json");
  expect(JSON.parse(sent.stdout)).toMatchObject({ written: true, tested: ["smtp-email"] });
  expect(mails.mails).toMatchObject([{ from: "wkfs@example.org", to: ["ops@example.org"] }]);
  expect(mails.mails[0]!.text).toContain("only a test");

  await mails[Symbol.asyncDispose]();
  const failed = await sandbox.wkfs(...args, "--json", "--force");
  expect(failed.code).toBe(1);
  expect(JSON.parse(failed.stdout)).toMatchObject({ error: { code: "NOTIFY_FAILED" } });
});
