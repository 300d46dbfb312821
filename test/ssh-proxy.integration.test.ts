import { type ChildProcess, execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type CommandResult, whyNoKernel } from "@wkfs/core/testing";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { freshKeys, keyFile } from "./support/gateway.ts";
import { nftables } from "./support/packet-filter.ts";
import { type Instance, type Role, SERVER, Site } from "./support/site.ts";

const CLI = fileURLToPath(new URL("../cli/bin/run.js", import.meta.url));
const reason = whyNoKernel(...nftables.programs) ?? lackOf("/usr/sbin/sshd", "ssh", "ssh-keygen");
const because = reason === undefined ? "" : ` (skipped: ${reason})`;

/** None of these has a flag that all versions take and that does nothing. */
function lackOf(...programs: string[]): string | undefined {
  const missing = programs.find((program) => {
    try {
      execFileSync("sh", ["-c", 'command -v "$0"', program], { stdio: "ignore" });
      return false;
    } catch {
      return true;
    }
  });
  if (missing === undefined) return undefined;
  if (process.env["WKFS_REQUIRE_KERNEL"] === "1") throw new Error(`WKFS_REQUIRE_KERNEL=1, but ${missing} is missing`);
  return `${missing} is not installed`;
}

let site: Site;
let instance: Instance;
let daemon: Role;
let env: NodeJS.ProcessEnv;

/** A user's folder with keys, `wkfs` in the PATH and the lines of ssh's configuration that the documentation shows. */
async function makeHome(): Promise<void> {
  const at = (...parts: string[]) => join(site.folder, ...parts);
  for (const folder of ["bin", "xdg/wkfs"]) await mkdir(at(folder), { recursive: true });
  await writeFile(at("bin/wkfs"), `#!/bin/sh\nexec "${process.execPath}" "${CLI}" "$@"\n`, { mode: 0o755 });
  await copyFile(instance.client, at("xdg/wkfs/client.yaml"));
  for (const name of ["host", "user"])
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", at(name)], { stdio: "ignore" });
  const hostKey = (await readFile(at("host.pub"), "utf8")).split(" ").slice(0, 2).join(" ");
  await writeFile(at("known_hosts"), `office ${hostKey}\n`);
  await writeFile(
    at("ssh_config"),
    [
      "Host office",
      `  HostName ${SERVER.ipv4}`,
      "  HostKeyAlias office",
      `  IdentityFile ${at("user")}`,
      `  UserKnownHostsFile ${at("known_hosts")}`,
      "  User root",
      "  BatchMode yes",
      "  ProxyCommand wkfs client proxy %h %p",
      "",
    ].join("\n"),
  );
  await writeFile(
    at("sshd_config"),
    [
      `HostKey ${at("host")}`,
      `AuthorizedKeysFile ${at("user.pub")}`,
      "StrictModes no",
      "UsePAM no",
      "PidFile none",
      "PermitRootLogin prohibit-password",
      "PasswordAuthentication no",
      "",
    ].join("\n"),
  );
  env = { ...process.env, PATH: `${at("bin")}:${process.env["PATH"]}`, XDG_CONFIG_HOME: at("xdg") };
}

/** sshd wants /run/sshd: it gets a /run of its own. */
async function startSshd(): Promise<void> {
  const line = 'mount -t tmpfs none /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f "$0"';
  const sshd = site.server.spawn(["unshare", "--mount", "sh", "-c", line, join(site.folder, "sshd_config")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const lines = createInterface({ input: sshd.stderr! });
  for await (const said of lines) if (said.startsWith("Server listening on 0.0.0.0")) break;
  sshd.stderr!.resume();
}

/** Runs on the client's host, as that user. */
function start(...argv: string[]): ChildProcess {
  return site.client.spawn(argv, { stdio: ["pipe", "pipe", "pipe"], env });
}

async function run(argv: readonly string[], input: string | Buffer = ""): Promise<CommandResult> {
  const child = start(...argv);
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name]!.setEncoding("latin1").on("data", (piece: string) => (text[name] += piece));
  child.stdin!.on("error", () => {});
  child.stdin!.end(input);
  const [code] = (await once(child, "close")) as [number];
  return { code, ...text };
}

const ssh = (command: string, input?: Buffer) =>
  run(["ssh", "-F", join(site.folder, "ssh_config"), "office", command], input);
const ssh22 = { host: SERVER.ipv4, port: 22 };

describe.skipIf(reason !== undefined)(`ProxyCommand with a real sshd${because}`, { timeout: 60_000 }, () => {
  beforeAll(async () => {
    site = await Site.create(nftables);
    instance = await site.configure({ more: { protect: { tcp: [22, 2300, 2301], maxTime: 600 } } });
    await makeHome();
    daemon = await site.daemon(instance);
    await site.gateway(instance);
    await startSshd();
  }, 60_000);
  afterAll(async () => await site[Symbol.asyncDispose]());

  it("one line in ssh's configuration, and `ssh` knocks and logs in; also when the port is open already", async () => {
    expect(await site.prober.tcp(ssh22)).toBe("silent");
    expect(await ssh("echo in")).toEqual({ code: 0, stdout: "in\n", stderr: "" });
    expect(await site.prober.tcp(ssh22)).toBe("open");
    expect(await ssh("exit 7")).toEqual({ code: 7, stdout: "", stderr: "" });
  });

  it("carries tens of megabytes both ways to the letter", async () => {
    const bytes = randomBytes(24_000_000);
    const { code, stdout } = await ssh("cat", bytes);
    const digest = (data: Buffer) => createHash("sha256").update(data).digest("hex");
    expect(code).toBe(0);
    expect(digest(Buffer.from(stdout, "latin1"))).toBe(digest(bytes));
  });

  it("ends one way when it has ended, and the other goes on", async () => {
    const program = `
      const server = require("net").createServer({ allowHalfOpen: true }, (socket) => {
        let taken = 0;
        socket.once("data", (first) => {
          if (first[0] === 113) return void socket.end("gone").on("data", (late) => console.log(String(late)));
          socket.on("data", (piece) => (taken += piece.length)).on("end", () => socket.end("took " + taken));
          taken = first.length;
        });
      }).listen(2300, "0.0.0.0", () => console.log("ready"));`;
    const server = site.server.spawn([process.execPath, "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
    const lines = createInterface({ input: server.stdout! })[Symbol.asyncIterator]();
    onTestFinished(() => void server.kill());
    expect((await lines.next()).value).toBe("ready");
    const proxy = ["wkfs", "client", "proxy", SERVER.ipv4, "2300"];
    expect(await run(proxy, Buffer.alloc(1_000_000))).toEqual({ code: 0, stdout: "took 1000000", stderr: "" });

    // A socket as Node's own children have it, and a pipe as ssh's have.
    for (const argv of [proxy, ["sh", "-c", `${proxy.join(" ")} | { cat; echo " and no more"; } >&2`]]) {
      const child = start(...argv);
      const ended = once(child, "exit");
      child.stdin!.write("q");
      let said = "";
      if (argv === proxy) for await (const piece of child.stdout!) said += String(piece);
      else while (!said.includes("no more")) said += String(await once(child.stderr!, "data"));
      // Its stdout has ended, and what we say still arrives.
      expect(said).toBe(argv === proxy ? "gone" : "gone and no more\n");
      child.stdin!.end("late");
      expect((await lines.next()).value).toBe("late");
      expect(await ended).toEqual([0, null]);
    }
  });

  it("a connection that breaks is an error, with 3, also while stdin stays open", async () => {
    const program = `
      require("net").createServer((socket) => socket.once("data", () => socket.resetAndDestroy())).listen(2301, "0.0.0.0", () => console.log("ready"));`;
    const server = site.server.spawn([process.execPath, "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(() => void server.kill());
    await once(server.stdout!, "data");
    const child = start("wkfs", "client", "proxy", SERVER.ipv4, "2301");
    const ended = once(child, "exit");
    child.stdin!.write("x");
    let said = "";
    for await (const piece of child.stderr!) said += String(piece);
    expect(said).toMatch(/^Error: the connection broke: .*ECONNRESET\n/);
    expect(await ended).toEqual([3, null]);
  });

  it("a reader that goes away ends it, and nobody there is told", async () => {
    const child = start("wkfs", "client", "proxy", SERVER.ipv4, "22");
    const ended = once(child, "exit");
    await once(child.stdout!, "data");
    child.stdout!.destroy();
    // Has sshd say more.
    child.stdin!.write("SSH-2.0-x\r\n");
    let said = "";
    for await (const piece of child.stderr!) said += String(piece);
    expect(said).toBe("");
    expect(await ended).toEqual([0, null]);
  });

  it("knocks again while the connection takes longer than the lease", async () => {
    const short = await site.configure({
      name: "short",
      gatewayPort: 8081,
      transportPort: 33_492,
      more: { protect: { tcp: [2302], maxTime: 1 } },
    });
    const brief = await site.daemon(short);
    const gateway = await site.gateway(short);
    const program = 'require("net").createServer((socket) => socket.end("in")).listen(2302, "0.0.0.0")';
    site.server.spawn([process.execPath, "-e", program], { stdio: "ignore" });
    // The network loses what begins a connection, until the third knock.
    await site.client.run(
      "nft",
      "add table inet lossy; add chain inet lossy out { type filter hook output priority 0; }",
    );
    await site.client.run("nft", "add rule inet lossy out tcp dport 2302 drop");
    const proxied = run(["wkfs", "client", "proxy", "--config", short.client, SERVER.ipv4, "2302"]);
    for (let knocks = 0; knocks < 4; knocks += 1) {
      await gateway.says("knock answered", gateway.log.length);
    }
    await site.client.run("nft", "delete table inet lossy");
    expect(await proxied).toEqual({ code: 0, stdout: "in", stderr: "" });
    await gateway.end();
    await brief.end();
  });

  it("to a port that is not offered ends with 4", async () => {
    const refused = await run(["wkfs", "client", "proxy", SERVER.ipv4, "2309"]);
    expect(refused).toMatchObject({ code: 4, stdout: "", stderr: expect.stringContaining("tcp/2309") });
  });

  it("that gets no connection says to whom the port is open, with 3", async () => {
    // The other family: the knock came over IPv4, so over IPv6 the port stays shut, and the kernel says so at once.
    await site.client.run("ip", "route", "add", "unreachable", `${SERVER.ipv6}/128`);
    const result = await run(["wkfs", "client", "proxy", SERVER.ipv6, "22"]);
    expect(result).toMatchObject({ code: 3, stdout: "" });
    expect(result.stderr).toMatch(
      /^Error: no connection to fd91::1 port 22: .*\nHint: The port is open for 10\.91\.0\.2/,
    );
  });

  it("with wrong keys says so, with 4; ssh shows it", async () => {
    const folder = join(site.folder, "xdg", "wkfs");
    await writeFile(join(folder, "wrong.json"), keyFile(freshKeys()), { mode: 0o600 });
    const good = await readFile(join(folder, "client.yaml"), "utf8");
    await writeFile(
      join(folder, "client.yaml"),
      JSON.stringify({ ...(JSON.parse(good) as object), keys: "wrong.json" }),
    );
    const result = await run(["wkfs", "client", "proxy", SERVER.ipv4, "22"]);
    expect(result).toMatchObject({ code: 4, stdout: "" });
    expect(result.stderr).toMatch(/^Error: 10\.91\.0\.1:8080 answered with status 403\nHint: .*key file/);
    expect(await ssh("true")).toMatchObject({ code: 255, stderr: expect.stringContaining("key file") });
    await writeFile(join(folder, "client.yaml"), good);
  });

  it("without a daemon says so, with 3", async () => {
    await daemon.end();
    const result = await run(["wkfs", "client", "proxy", SERVER.ipv4, "22"]);
    expect(result).toMatchObject({ code: 3, stdout: "" });
    expect(result.stderr).toMatch(/status 504\nHint: .*wkfs daemon/);
  });
});
