import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { whyNoKernel } from "@wkfs/core/testing";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { freshKeys, keyFile } from "./support/gateway.ts";
import { nftables } from "./support/packet-filter.ts";
import { type Instance, type Role, SERVER, Site } from "./support/site.ts";
import { Ssh, whyNoSsh } from "./support/ssh.ts";

const reason = whyNoKernel(...nftables.programs) ?? whyNoSsh();
const because = reason === undefined ? "" : ` (skipped: ${reason})`;

let site: Site;
let instance: Instance;
let daemon: Role;
let user: Ssh;

describe.skipIf(reason !== undefined)(`ProxyCommand with a real sshd${because}`, { timeout: 60_000 }, () => {
  beforeAll(async () => {
    site = await Site.create(nftables);
    instance = await site.configure({ more: { protect: { tcp: [22, 2300, 2301], maxTime: 600 } } });
    user = await Ssh.start(site.folder, site.server, site.client);
    await mkdir(user.clientFolder);
    await copyFile(instance.client, join(user.clientFolder, "client.yaml"));
    daemon = await site.daemon(instance);
    await site.gateway(instance);
  }, 60_000);
  afterAll(async () => await site[Symbol.asyncDispose]());

  it("knocks and logs in also when the port is open already", async () => {
    expect(await site.knock(instance, { args: ["--tcp", "22"] })).toMatchObject({ code: 0 });
    expect(await user.ssh("exit 7")).toEqual({ code: 7, stdout: "", stderr: "" });
  });

  it("carries tens of megabytes both ways to the letter", async () => {
    const bytes = randomBytes(24_000_000);
    const { code, stdout } = await user.ssh("cat", { input: bytes });
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
    expect(await user.run(proxy, Buffer.alloc(1_000_000))).toEqual({ code: 0, stdout: "took 1000000", stderr: "" });

    // A socket as Node's own children have it, and a pipe as ssh's have.
    for (const argv of [proxy, ["sh", "-c", `${proxy.join(" ")} | { cat; echo " and no more"; } >&2`]]) {
      const child = user.start(...argv);
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
    const child = user.start("wkfs", "client", "proxy", SERVER.ipv4, "2301");
    const ended = once(child, "exit");
    child.stdin!.write("x");
    let said = "";
    for await (const piece of child.stderr!) said += String(piece);
    expect(said).toMatch(/^Error: the connection broke: .*ECONNRESET\n/);
    expect(await ended).toEqual([3, null]);
  });

  it("a reader that goes away ends it, and nobody there is told", async () => {
    const child = user.start("wkfs", "client", "proxy", SERVER.ipv4, "22");
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
    const proxied = user.run(["wkfs", "client", "proxy", "--config", short.client, SERVER.ipv4, "2302"]);
    for (let knocks = 0; knocks < 4; knocks += 1) {
      await gateway.says("knock answered", gateway.log.length);
    }
    await site.client.run("nft", "delete table inet lossy");
    expect(await proxied).toEqual({ code: 0, stdout: "in", stderr: "" });
    await gateway.end();
    await brief.end();
  });

  it("to a port that is not offered ends with 4", async () => {
    const refused = await user.run(["wkfs", "client", "proxy", SERVER.ipv4, "2309"]);
    expect(refused).toMatchObject({ code: 4, stdout: "", stderr: expect.stringContaining("tcp/2309") });
  });

  it("that gets no connection says to whom the port is open, with 3", async () => {
    // The other family: the knock came over IPv4, so over IPv6 the port stays shut, and the kernel says so at once.
    await site.client.run("ip", "route", "add", "unreachable", `${SERVER.ipv6}/128`);
    const result = await user.run(["wkfs", "client", "proxy", SERVER.ipv6, "22"]);
    expect(result).toMatchObject({ code: 3, stdout: "" });
    expect(result.stderr).toMatch(
      /^Error: no connection to fd91::1 port 22: .*\nHint: The port is open for 10\.91\.0\.2/,
    );
  });

  it("with wrong keys says so, with 4; ssh shows it", async () => {
    const folder = user.clientFolder;
    await writeFile(join(folder, "wrong.json"), keyFile(freshKeys()), { mode: 0o600 });
    const good = await readFile(join(folder, "client.yaml"), "utf8");
    await writeFile(
      join(folder, "client.yaml"),
      JSON.stringify({ ...(JSON.parse(good) as object), keys: "wrong.json" }),
    );
    const result = await user.run(["wkfs", "client", "proxy", SERVER.ipv4, "22"]);
    expect(result).toMatchObject({ code: 4, stdout: "" });
    expect(result.stderr).toMatch(/^Error: 10\.91\.0\.1:8080 answered with status 403\nHint: .*key file/);
    expect(await user.ssh("true")).toMatchObject({ code: 255, stderr: expect.stringContaining("key file") });
    await writeFile(join(folder, "client.yaml"), good);
  });

  it("without a daemon says so, with 3", async () => {
    await daemon.end();
    const result = await user.run(["wkfs", "client", "proxy", SERVER.ipv4, "22"]);
    expect(result).toMatchObject({ code: 3, stdout: "" });
    expect(result.stderr).toMatch(/status 504\nHint: .*wkfs daemon/);
  });
});
