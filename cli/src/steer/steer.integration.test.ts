import { mkdir, readFile, writeFile } from "node:fs/promises";
import type { DaemonReport } from "@wkfs/core/daemon";
import { describe, expect, it } from "vitest";
import { Sandbox, freePort } from "../../testing/wkfs.ts";

const CONFIG = ["--config", "wkfs.yaml"];

/** A daemon that writes no packet filter, and can be asked. */
async function running(
  host: Sandbox,
  control = `control: { path: ${host.path("run", "control.sock")} }`,
  store = "use: memory",
) {
  const lines = [
    "protect: { tcp: [22, 5432], udp: [1194], maxTime: 10m }",
    `transport: { use: localhost-tcp, port: ${await freePort()}, secret: secret }`,
    "firewall: [{ use: dry-run }]",
    `store: { ${store} }`,
    control,
  ];
  await mkdir(host.dir, { recursive: true });
  await writeFile(host.path("wkfs.yaml"), `${lines.join("\n")}\n`);
  await writeFile(host.path("secret"), "a secret of sixteen characters\n", { mode: 0o600 });
  const daemon = host.start(["daemon", ...CONFIG]);
  await daemon.says("stderr", /"msg":"ready"/);
  return daemon;
}

describe.concurrent("a running daemon is asked by", () => {
  it("wkfs open beyond a limit, which is named with what to do about it", async () => {
    await using host = await Sandbox.create();
    const control = `control: { path: ${host.path("run", "control.sock")} }`;
    await running(host, `${control}\nlimits: { leasesPerAddress: 2 }`);
    const some = await host.wkfs("open", "192.0.2.7", "--tcp", "22,5432", "--udp", "1194", ...CONFIG);
    expect(some.code).toBe(5);
    expect(some.stdout).toMatch(
      /^refused {2}udp\/1194, .*\(too_many_leases_of_address\)\nHint: .*limits\.leasesPerAddress/m,
    );
    const none = await host.wkfs("open", "192.0.2.7", "--udp", "1194", ...CONFIG);
    expect(none.code).toBe(4);
    expect(none.stdout).toMatch(/^nothing was opened: too_many_leases_of_address\nHint: .*limits\.leasesPerAddress/);
  });

  it("wkfs open, leases, close and history", async () => {
    await using host = await Sandbox.create();
    await running(host);
    const opened = await host.wkfs("open", "192.0.2.7", "--tcp", "22,5432", "--time", "5m", ...CONFIG);
    expect(opened).toMatchObject({ code: 0, stderr: "" });
    expect(opened.stdout).toMatch(/^(opened {3}tcp\/\d+ for 192\.0\.2\.7 until \S+Z, [45]m \d\ds left\n){2}$/);
    expect(await host.wkfs("open", "2001:db8::7", "--udp", "1194", "--tcp", "80", ...CONFIG)).toMatchObject({
      code: 5,
    });
    expect(await host.wkfs("open", "192.0.2.8", "--tcp", "80", ...CONFIG)).toMatchObject({ code: 4 });

    const { stdout } = await host.wkfs("leases", ...CONFIG);
    expect(stdout.split("\n").map((line) => line.split("\t").slice(0, 3))).toEqual([
      ["192.0.2.7", "tcp/22", "@hand"],
      ["192.0.2.7", "tcp/5432", "@hand"],
      ["2001:db8::7", "udp/1194", "@hand"],
      [""],
    ]);
    const closed = await host.wkfs("close", "192.0.2.7", "--tcp", "22", "--json", ...CONFIG);
    expect(JSON.parse(closed.stdout)).toMatchObject({ closed: [{ port: { number: 22 } }] });
    expect((await host.wkfs("close", "192.0.2.7", ...CONFIG)).stdout).toBe("closed   tcp/5432 for 192.0.2.7 (@hand)\n");
    expect((await host.wkfs("close", "192.0.2.7", ...CONFIG)).stdout).toBe("nothing was open\n");
    const leases = JSON.parse((await host.wkfs("leases", "--json", ...CONFIG)).stdout) as object[];
    expect(leases).toMatchObject([{ address: { text: "2001:db8::7" } }]);

    const history = JSON.parse((await host.wkfs("history", "--json", "--since", "1h", ...CONFIG)).stdout) as object[];
    expect(history).toMatchObject(
      ["started", "opened", "opened", "refused", "closed", "closed"].map((type) => ({ type })),
    );
    const latest = await host.wkfs("history", "--limit", "1", ...CONFIG);
    expect(latest.stdout).toMatch(/^\S+Z closed: tcp\/5432 for @hand at 192\.0\.2\.7 until \S+Z\n$/);
  });

  it("wkfs status, which says what needs attention by its exit code", async () => {
    await using host = await Sandbox.create();
    await running(host);
    const { code, stdout } = await host.wkfs("status", "--socket", host.path("run", "control.sock"));
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^daemon +runs for .*\nprotects +tcp\/22, tcp\/5432, udp\/1194, for at most 10m 00s\nleases +0 of/,
    );
    expect(stdout).toMatch(/firewall +dry-run \(ipv4, ipv6; .*\): its hooks stand\n/);
    expect(stdout).toContain("plugins    localhost-tcp (transport), dry-run (firewall), memory (store)\n");
    expect(stdout).toContain("drift      nothing was found changed in the last day\n");
    expect(JSON.parse((await host.wkfs("status", "--json", ...CONFIG)).stdout)).toMatchObject({ leases: 0 });
    const uncounted = await host.wkfs("leases", "--counters", ...CONFIG);
    expect(uncounted).toMatchObject({ code: 1, stderr: /no packet filter of this daemon counts[^]*counters: true/ });
  });

  it("wkfs reload, which says what has changed, or what is wrong: then the daemon goes on as it was", async () => {
    await using host = await Sandbox.create();
    await running(host, undefined, `use: sqlite, path: ${host.path("first.db")}`);
    const config = await readFile(host.path("wkfs.yaml"), "utf8");
    const socket = ["--socket", host.path("run", "control.sock")];
    const protects = async () =>
      (JSON.parse((await host.wkfs("status", ...socket, "--json")).stdout) as DaemonReport).protect;
    expect((await host.wkfs("reload", ...CONFIG)).stdout).toBe(
      "reloaded   nothing that the daemon goes by has changed\n",
    );
    await host.wkfs("open", "192.0.2.7", "--tcp", "5432", ...CONFIG);
    await writeFile(host.path("wkfs.yaml"), config.replace("[22, 5432]", "[5432, 8443]"));
    expect(await host.wkfs("reload", ...CONFIG)).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringMatching(/^reloaded {3}protect; knocks waited for \d+ ms\n$/),
    });
    expect(await protects()).toMatchObject({ tcp: [5432, 8443] });
    expect((await host.wkfs("leases", ...CONFIG)).stdout).toContain("192.0.2.7\ttcp/5432");

    // Found by who asks, and by the daemon.
    await writeFile(host.path("wkfs.yaml"), config.replace("tcp:", "tpc:"));
    for (const flags of [CONFIG, socket]) {
      const { code, stdout, stderr } = await host.wkfs("reload", "--json", ...flags);
      expect(code).toBe(2);
      expect(JSON.parse(stdout)).toMatchObject({ error: { code: "CONFIG_INVALID" } });
      expect(stderr).toMatch(/wkfs\.yaml:1: .*"protect\.tpc"[^]*goes on with the configuration that it had\.\n$/);
    }
    await writeFile(host.path("wkfs.yaml"), config.replace("first.db", "other.db"));
    const fixed = await host.wkfs("reload", ...CONFIG);
    expect(fixed).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/wkfs\.yaml:4: a change of store needs a restart/),
    });
    expect(await protects()).toMatchObject({ tcp: [5432, 8443] });
    expect(await host.wkfs("reload", "--socket", host.path("nobody.sock"))).toMatchObject({ code: 3 });
  });

  it("wkfs events --follow and leases --watch, until they are ended", async () => {
    await using host = await Sandbox.create();
    const daemon = await running(host);
    const events = host.start(["events", "--follow", "--json", ...CONFIG]);
    const watched = host.start(["leases", "--watch", ...CONFIG]);
    await watched.says("stdout", /^\n/);
    const open = ["open", "192.0.2.7", "--tcp", "22", ...CONFIG];
    // Who follows may just begin to: a renewal is an event as well.
    const begun = events.says("stdout", /"type":"(opened|renewed)".*\n/).then(() => true);
    do await host.wkfs(...open);
    while (!(await Promise.race([begun, Promise.resolve(false)])));
    await watched.says("stdout", /\n192\.0\.2\.7\ttcp\/22\t@hand\t.*\n\n/);
    watched.kill("SIGINT");
    expect(await watched.ended).toMatchObject({ code: 0, stderr: "" });
    events.kill("SIGTERM");
    expect(await events.ended).toMatchObject({ code: 0, stderr: "" });
    const left = host.start(["events", "--follow", ...CONFIG]);
    const seen = left.says("stdout", /renewed/).then(() => true);
    do await host.wkfs(...open);
    while (!(await Promise.race([seen, Promise.resolve(false)])));
    daemon.kill("SIGTERM");
    expect(await left.ended).toMatchObject({ code: expect.toSatisfy((code) => code === 1 || code === 3) });
  });

  it("nobody, where there is none, and says what to do", async () => {
    await using host = await Sandbox.create();
    const daemon = await running(host);
    daemon.kill("SIGKILL");
    await daemon.ended;
    const gone = await host.wkfs("status", ...CONFIG);
    expect(gone).toMatchObject({ code: 3, stdout: "" });
    expect(gone.stderr).toMatch(/^Error: no daemon answers on .*\nHint: Start it/);
    await running(host, "");
    expect(await host.wkfs("leases", ...CONFIG)).toMatchObject({ code: 2, stderr: /Hint: Add `control:/ });
    expect(await host.wkfs("close", "nobody", ...CONFIG)).toMatchObject({ code: 2 });
    expect(await host.wkfs("leases", "--socket", "/nowhere/s", ...CONFIG)).toMatchObject({ code: 2 });
  });
});
