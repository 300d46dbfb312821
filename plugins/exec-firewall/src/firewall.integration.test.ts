import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Lease, leaseId, parseAddress } from "@wkfs/core";
import { FakeClock, firewallSuite, recordingLogger, testContext } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { configSchema } from "./config.ts";
import plugin from "./index.ts";

const script = fileURLToPath(new URL("../testing/file-router.mjs", import.meta.url));

/** A router whose state is a file, and the firewall that speaks to it. */
class Router implements AsyncDisposable {
  readonly folder: string;
  readonly log = recordingLogger();
  readonly clock = new FakeClock(Date.now());

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<Router> {
    return new Router(await mkdtemp(join(tmpdir(), "wkfs-router-")));
  }

  get state(): string {
    return join(this.folder, "state");
  }

  async firewall(mode = "whole", config: object = {}, state = this.state, parts: object = {}) {
    const parsed = configSchema.parse({ command: [process.execPath, script, state, mode], checkEvery: 0, ...config });
    return await plugin.create(parsed, testContext({ log: this.log, ...parts }));
  }

  read(name = "state"): Promise<string> {
    return readFile(join(this.folder, name), "utf8").catch(() => "no file");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true });
  }
}

const lease = (address: string, seconds = 60): Lease => ({
  address: parseAddress(address),
  port: { protocol: "tcp", number: 22 },
  client: "phone",
  openedAt: Date.now(),
  deadline: Date.now() + seconds * 1000,
});

for (const [mode, expiry] of [
  ["whole", "kernel"],
  ["partial", "core"],
] as const) {
  firewallSuite(`exec-firewall, a command that does it ${mode}`, { describe, it }, async () => {
    const router = await Router.make();
    return {
      make: () => router.firewall(mode, { expiry }),
      makeSecond: () => router.firewall(mode, { expiry }, join(router.folder, "other")),
      now: () => Date.now(),
      harm: { "the router forgets": () => rm(router.state) },
      refused: () => [lease("10.9.0.20"), lease("10.66.66.66")] as const,
      snapshot: () => router.read(),
      [Symbol.asyncDispose]: () => router[Symbol.asyncDispose](),
    };
  });
}

describe("the command of exec-firewall", () => {
  it("reads what it needs on its standard input, with what has ended among what is to be closed", async () => {
    await using router = await Router.make();
    const firewall = await router.firewall("record");
    await firewall.attach();
    const [good, over] = [lease("192.0.2.7", 59.5), lease("fd91::2", -1)];
    await firewall.apply({ open: [good, over], close: [lease("192.0.2.8")], before: [] });
    const key = { protocol: "tcp", port: 22 };
    const requests = (await router.read("state.requests")).trim().split("\n");
    expect(requests.map((line) => JSON.parse(line) as unknown)).toEqual([
      { op: "attach", open: [], close: [] },
      {
        op: "apply",
        open: [{ ...key, address: "192.0.2.7", family: "ipv4", client: "phone", seconds: 60, deadline: good.deadline }],
        close: [
          { ...key, address: "192.0.2.8", family: "ipv4" },
          { ...key, address: "fd91::2", family: "ipv6" },
        ],
      },
    ]);
    await firewall.detach();
  });

  it.each([
    ["hang", "FIREWALL_FAILED", /had no end after 1 s/],
    ["garbage", "FIREWALL_FAILED", /"<html>", which is no JSON/],
    ["odd", "FIREWALL_FAILED", /leases\.0\.address/],
    ["flood", "FIREWALL_FAILED", /more than \d+ bytes/],
    ["full", "FIREWALL_FULL", /no room/],
  ])("that does %s is %s, and says so", async (mode, code, message) => {
    await using router = await Router.make();
    const firewall = await router.firewall(mode, { timeout: 1 });
    // The answer of `check` may hold leases as that of `list`.
    await expect(firewall.check()).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  it("that lists what is of another family is not believed", async () => {
    await using router = await Router.make();
    const firewall = await router.firewall("foreign", { families: ["ipv4"] });
    await expect(firewall.list()).rejects.toMatchObject({ code: "FIREWALL_FAILED" });
    await expect(firewall.apply({ open: [lease("fd91::2")], close: [], before: [] })).rejects.toMatchObject({
      code: "FIREWALL_FAILED",
    });
  });

  it("that hangs in the middle of a change is killed, and the change is taken back", async () => {
    await using router = await Router.make();
    const whole = await router.firewall();
    await whole.attach();
    const standing = lease("10.9.0.1");
    await whole.apply({ open: [standing], close: [], before: [] });
    // Does it, and then hangs; the second time, which takes it back, it ends.
    const once = `test -e ${router.folder}/once || { touch ${router.folder}/once; ${process.execPath} ${script} ${router.state}; sleep 300; }; exec ${process.execPath} ${script} ${router.state}`;
    const firewall = await router.firewall("", { command: ["/bin/sh", "-c", once], timeout: 1 });
    const moved = { ...standing, deadline: standing.deadline + 100_000 };
    const change = { open: [moved, lease("10.9.0.2")], close: [], before: [standing] };
    await expect(firewall.apply(change)).rejects.toMatchObject({ code: "FIREWALL_FAILED" });
    const { leases } = await whole.list();
    expect(leases.map((one) => [leaseId(one), one.deadline])).toEqual([[leaseId(standing), standing.deadline]]);
    expect(router.log.lines).toEqual([]);
  });

  it("that cannot take a change back either leaves a line in the log, and the first failure is the one told", async () => {
    await using router = await Router.make();
    const firewall = await router.firewall("full");
    await expect(firewall.apply({ open: [lease("10.9.0.1")], close: [], before: [] })).rejects.toMatchObject({
      code: "FIREWALL_FULL",
    });
    expect(router.log.lines).toMatchObject([{ level: "error" }]);
  });

  it("is asked only now and then whether all stands, and anew when it was attached", async () => {
    await using router = await Router.make();
    const firewall = await router.firewall("whole", { checkEvery: 30 }, router.state, { clock: router.clock });
    await firewall.attach();
    expect(await firewall.check()).toEqual({ missing: [], count: 0 });
    await rm(router.state);
    expect((await firewall.check()).missing).toEqual([]);
    await router.clock.advance(30_000);
    expect((await firewall.check()).missing).toEqual(["the router has forgotten us"]);
    await firewall.attach();
    await firewall.apply({ open: [lease("10.9.0.1")], close: [], before: [] });
    expect((await firewall.check()).count).toBe(1);
  });

  it("must be there at the start", async () => {
    const config = configSchema.parse({ command: ["/nonexistent/router"] });
    await expect(plugin.create(config, testContext())).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  it.each([
    {},
    { command: [] },
    { command: ["router"] },
    { command: ["/r"], expiry: "never" },
    { command: ["/r"], timeout: 9 },
    { command: ["/r"], families: ["ipv4", "ipv4"] },
    { command: ["/r"], shell: true },
  ])("refuses the configuration %j", (config) => expect(configSchema.safeParse(config).success).toBe(false));
});
