import { writeFile } from "node:fs/promises";
import { FakeClock } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { Sandbox } from "../cli/testing/wkfs.ts";
import { systemClock } from "../core/src/lifecycle/clock.ts";
import { TestDaemon } from "./support/daemon.ts";
import { TestGateway, freshKeys, keyFile } from "./support/gateway.ts";

/** A host with a configured client; behind its gateway is a daemon of ours, or one that cannot close. */
async function hostOf({ cannotClose = false } = {}) {
  const keys = freshKeys();
  // The clients' clock is the host's.
  const gateway = await TestGateway.start({}, keys, { tcp: [22, 2222], udp: [1194], maxTime: 600 }, systemClock);
  const clock = new FakeClock(Date.now());
  const daemon = await TestDaemon.start({ clock, protect: { tcp: [22, 2222], udp: [1194], maxTime: 600 } });
  await gateway.daemon(async (request) => {
    if (cannotClose && "close" in (request as object)) return '{"success":false,"0":"missing_ports"}';
    return JSON.stringify(await daemon.ask({ ports: undefined, time: undefined, ...(request as object) }));
  });
  const host = await Sandbox.create();
  await writeFile(host.path("v1.json"), keyFile(keys), { mode: 0o600 });
  await writeFile(host.path("client.yaml"), JSON.stringify({ url: gateway.url, keys: "v1.json" }));
  host.env["WKFS_CONFIG"] = host.path("client.yaml");
  return {
    host,
    daemon,
    run: (...args: string[]) => host.wkfs("client", "run", "--tcp", "22", ...args),
    async [Symbol.asyncDispose]() {
      await host[Symbol.asyncDispose]();
      await gateway[Symbol.asyncDispose]();
      await daemon[Symbol.asyncDispose]();
    },
  };
}

const HERE = "127.0.0.1";
const node = (program: string) => ["--", process.execPath, "-e", program];

describe.concurrent("wkfs client close", () => {
  it("closes what is named, then the rest, and says what it was", async () => {
    await using own = await hostOf();
    expect((await own.host.wkfs("client", "open")).code).toBe(0);
    expect(await own.host.wkfs("client", "close", "--tcp", "22")).toEqual({
      code: 0,
      stdout: `tcp/22 closed for ${HERE}\n`,
      stderr: "",
    });
    expect(await own.daemon.kernel()).toEqual([`${HERE} tcp/2222`, `${HERE} udp/1194`]);
    const rest = await own.host.wkfs("client", "close", "--json");
    expect(JSON.parse(rest.stdout)).toMatchObject({ ip: HERE, closed: [{ number: 2222 }, { number: 1194 }] });
    expect(await own.daemon.kernel()).toEqual([]);
    expect((await own.host.wkfs("client", "close")).stdout).toBe(`nothing was open for ${HERE}\n`);
  });

  it("ends with 4 where the server cannot, and says until when the ports are open at the latest", async () => {
    await using own = await hostOf({ cannotClose: true });
    const { code, stdout, stderr } = await own.host.wkfs("client", "close", "--json");
    expect(code).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "CLOSE_UNSUPPORTED" } });
    expect(stderr).toContain("600 s after the last knock");
  });
});

describe.concurrent("wkfs client run", () => {
  it("has the ports open while the program runs, hands signals on, and closes them then", async () => {
    await using own = await hostOf();
    const program =
      'process.on("SIGTERM", () => { console.log("told"); process.exit(7); }); console.log("up"); setInterval(() => {}, 1000)';
    const running = own.host.start(["client", "run", "--tcp", "22", ...node(program)]);
    await running.says("stdout", /up\n/);
    expect(await own.daemon.kernel()).toEqual([`${HERE} tcp/22`]);
    running.kill("SIGTERM");
    expect(await running.ended).toEqual({ code: 7, stdout: "up\ntold\n", stderr: "" });
    expect(await own.daemon.kernel()).toEqual([]);
    expect(own.daemon.history()).toEqual(["started", "opened", "closed"]);
  });

  it("ends as the program ends, and hands its words on as they are, with no shell", async () => {
    await using own = await hostOf();
    const said = await own.run(...node("console.log(process.argv.slice(1).join())"), "$HOME", "a b", "--tcp", "-x");
    expect(said).toEqual({ code: 0, stdout: "$HOME,a b,--tcp,-x\n", stderr: "" });
    expect(await own.run(...node('process.kill(process.pid, "SIGKILL")'))).toMatchObject({ code: 137 });
    const missing = await own.run("--", "no-such-program");
    expect(missing).toMatchObject({ code: 127, stderr: expect.stringContaining("no-such-program") });
    await writeFile(own.host.path("plain"), "", { mode: 0o644 });
    expect(await own.run("--", own.host.path("plain"))).toMatchObject({ code: 126 });
    expect(await own.daemon.kernel()).toEqual([]);
  });

  it("leaves the ports with --no-close, and where the server cannot close says until when; the code stays", async () => {
    await using own = await hostOf({ cannotClose: true });
    const { code, stderr } = await own.run(...node("process.exit(3)"));
    expect(code).toBe(3);
    expect(stderr).toMatch(/^wkfs: .*shut by themselves at \d{4}-.*Z\n$/);
    expect(await own.run("--no-close", ...node("0"))).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(await own.daemon.kernel()).toEqual([`${HERE} tcp/22`]);
  });

  it("runs nothing when the ports cannot be opened", async () => {
    await using own = await hostOf();
    const said = await own.host.wkfs("client", "run", "--tcp", "23", ...node('console.log("ran")'));
    expect(said).toMatchObject({ code: 4, stdout: "", stderr: expect.stringContaining("no_ports") });
  });
});
