import { chmod, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { installListPlugins } from "../testing/list-plugins.ts";
import { Sandbox, freePort } from "../testing/wkfs.ts";

const CONFIG = ["--config", "etc/wkfs.yaml"];

/** A server as `install server` makes it, whose packet filter and store are lists; and its client. */
async function installed(host: Sandbox, change: (yaml: string) => string = (yaml) => yaml): Promise<void> {
  await installListPlugins(host);
  const [web, link] = [await freePort(), await freePort()];
  const flags = [
    "--tcp",
    "22",
    "--tcp",
    "5432",
    "--udp",
    "1194",
    "--dir",
    "etc",
    "--state-dir",
    "state",
    "--path",
    "/x",
    // Should what is replaced below ever read otherwise, nothing of this host is touched.
    "--firewall",
    "dry-run",
  ];
  await host.wkfs("install", "server", ...flags, "--listen", `127.0.0.1:${web}`, "--transport-port", String(link));
  await host.wkfs("client", "install", "--url", `http://127.0.0.1:${web}/x`, "--keys", "etc/v1.json");
  const yaml = (await readFile(host.path("etc/wkfs.yaml"), "utf8"))
    .replace("{ use: dry-run }", "{ use: list-firewall }")
    .replace(/^store: .*$/m, "store: { use: list-store }");
  await writeFile(host.path("etc/wkfs.yaml"), change(yaml));
}

describe.concurrent("wkfs", () => {
  it("opens ports from end to end, and says by its exit code how much of it", async () => {
    await using host = await Sandbox.create();
    // Its second process is a program of its own in the bundle.
    await installed(host, (yaml) => yaml.replace("path: /x", "path: /x\n  workers: 2"));
    const gateway = host.start(["serve", ...CONFIG]);
    await gateway.says("stderr", /"msg":"ready"/);
    const early = await host.wkfs("client", "open", "--json");
    expect({ ...JSON.parse(early.stdout), code: early.code }).toMatchObject({
      code: 3,
      error: { code: "SERVER_UNREACHABLE" },
    });

    const daemon = host.start(["daemon", ...CONFIG]);
    await daemon.says("stderr", /"msg":"ready"/);
    const info = await host.wkfs("client", "info", "--json");
    expect(JSON.parse(info.stdout)).toEqual({ tcp: [22, 5432], udp: [1194], maxTime: 600, ip: "127.0.0.1" });

    const all = await host.wkfs("client", "open");
    expect(all).toMatchObject({ code: 0, stderr: "" });
    expect(all.stdout).toMatch(/^(\w+\/\d+ open for 127\.0\.0\.1 until \S+Z\n){3}$/);

    const part = await host.wkfs("client", "open", "--tcp", "22", "--tcp", "23", "--time", "1m", "--json");
    expect(part.code).toBe(5);
    const { ports } = JSON.parse(part.stdout) as { ports: unknown };
    expect(ports).toEqual([
      { port: { protocol: "tcp", number: 22 }, opened: true },
      { port: { protocol: "tcp", number: 23 }, opened: false },
    ]);

    const none = await host.wkfs("client", "open", "--udp", "53", "--json");
    expect({ ...JSON.parse(none.stdout), code: none.code }).toMatchObject({
      code: 4,
      error: { code: "KNOCK_REFUSED" },
    });

    const keeper = host.start(["client", "--json", "--time", "2"]);
    await keeper.says("stdout", /"type":"opened".*\n.*"type":"renewed"/);
    for (const [role, signal] of [
      [keeper, "SIGTERM"],
      [gateway, "SIGINT"],
      [daemon, "SIGTERM"],
    ] as const) {
      role.kill(signal);
      expect((await role.ended).code).toBe(0);
    }
  });

  it("checks the configuration of both halves, plugins and secrets included, and describes it for editors", async () => {
    await using host = await Sandbox.create();
    await installed(host, (yaml) => yaml.replace("notify: []", "notify: [{ use: exec, command: [/bin/true] }]"));
    const check = await host.wkfs("config", "check", "--json", ...CONFIG);
    expect(check).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(check.stdout)).toMatchObject({
      halves: ["daemon", "gateway"],
      plugins: ["localhost-tcp", "list-firewall", "list-store", "exec"],
    });
    const yaml = await readFile(host.path("etc/wkfs.yaml"), "utf8");
    await writeFile(host.path("etc/wkfs.yaml"), yaml.replace("command:", "comand:"));
    const wrong = await host.wkfs("config", "check", ...CONFIG);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toMatch(
      /wkfs\.yaml:\d+: plugin exec: unknown key "notify\.0\.comand"; did you mean "command"\?/,
    );
    await writeFile(host.path("etc/wkfs.yaml"), yaml);
    await chmod(host.path("etc/v1.json"), 0o644);
    const readable = await host.wkfs("config", "check", ...CONFIG);
    expect(readable.code).toBe(2);
    expect(readable.stderr).toContain("v1.json");

    interface Entry {
      readonly properties: { readonly use: { readonly const: string } };
    }
    const schema = JSON.parse((await host.wkfs("config", "schema")).stdout) as {
      readonly properties: {
        readonly firewall: { readonly items: { readonly oneOf: Entry[] } };
        readonly notify: { readonly items: { readonly oneOf: Entry[] } };
        readonly protect: object;
      };
    };
    const { firewall, notify, protect } = schema.properties;
    expect(firewall.items.oneOf.map(({ properties }) => properties.use.const)).toEqual(
      expect.arrayContaining(["iptables", "nftables", "list-firewall"]),
    );
    expect(notify.items.oneOf.find(({ properties }) => properties.use.const === "exec")).toMatchObject({
      properties: {
        command: { type: "array" },
        events: { items: { enum: expect.arrayContaining(["refused"]) as unknown } },
      },
      required: ["use", "command"],
      additionalProperties: false,
    });
    expect(protect).toMatchObject({ properties: { tcp: { type: "array" } } });
  });

  it("checks a configuration without starting, and detaches", async () => {
    await using host = await Sandbox.create();
    await installed(host);
    const check = await host.wkfs("daemon", "--check", "--json", ...CONFIG);
    expect(check).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(check.stdout)).toMatchObject({ plugins: ["localhost-tcp", "list-firewall", "list-store"] });
    const gateway = await host.recorded("serve", "--check", ...CONFIG);
    expect(gateway).toMatchObject({ code: 0, stderr: "" });
    // Only to listen.
    expect(gateway.modules).not.toContain("/restify/");
    expect(gateway.modules).not.toContain("wkfs-plugin-list-store");
    expect(gateway.modules).not.toMatch(/^file:.*\/core\/dist\//m);
    const detached = await host.recorded("daemon", "--detach", ...CONFIG);
    expect(detached.code).toBe(0);
    expect(detached.stderr).toContain("detached");
    expect(detached.modules).not.toContain("/restify/");
    // Of the bundled plugins, the one that is used. And installed ones see the core that runs: there is no other.
    expect(detached.modules).toContain("plugins/localhost-tcp/dist/");
    expect(detached.modules).not.toMatch(/plugins\/(iptables|nftables|sqlite|smtp-email|webhook)\/dist\//);
    expect(detached.modules).toContain("wkfs-plugin-list-store");
    expect(detached.modules).toContain("/cli/bundle/lent-core.js");
    expect(detached.modules).not.toMatch(/^file:.*\/core\/dist\//m);
  });

  it.each([
    ["an unknown key", (yaml: string) => yaml.replace("maxTime:", "maxTimes:"), "CONFIG_INVALID", 2],
    ["an unknown plugin", (yaml: string) => yaml.replace("use: list-store", "use: no-such"), "PLUGIN_INVALID", 2],
    [
      "a filter that fails",
      (yaml: string) => yaml.replace("list-firewall }", "list-firewall, broken: 1 }"),
      "FIREWALL_FAILED",
      1,
    ],
  ])("does not start with %s", async (_, change, error, exit) => {
    await using host = await Sandbox.create();
    await installed(host, change);
    const { code, stdout, stderr } = await host.wkfs("daemon", "--json", ...CONFIG);
    expect({ code, ...JSON.parse(stdout) }).toMatchObject({ code: exit, error: { code: error } });
    expect(stderr).toMatch(/^Error: /m);
    expect(stderr).toMatch(/^Hint: /m);
    expect(stderr).not.toMatch(/^ {4}at /m);
    if (exit === 2) expect(stderr).toMatch(/etc\/wkfs\.yaml:\d+/);
  });

  it("ends at once at the second signal", async () => {
    await using host = await Sandbox.create();
    await installed(host, (yaml) => yaml.replace("list-firewall }", "list-firewall, slow: 1 }"));
    const daemon = host.start(["daemon", ...CONFIG]);
    await daemon.says("stderr", /"msg":"ready"/);
    daemon.kill("SIGTERM");
    await daemon.says("stderr", /"msg":"stopping"/);
    daemon.kill("SIGTERM");
    expect((await daemon.ended).code).toBe(143);
  });

  it("neither runs nor installs plugins where others can write", async () => {
    await using host = await Sandbox.create();
    await installed(host);
    const root = host.path("data", "node_modules", "wkfs-plugin-list-store");
    const description = { name: "wkfs-plugin-list-store", version: "1.0.0", type: "module", exports: "./index.js" };
    const hooks = { init: "./hook.js" };
    await writeFile(`${root}/package.json`, JSON.stringify({ ...description, oclif: { hooks } }));
    await writeFile(`${root}/hook.js`, 'export default function () { process.stderr.write("the hook ran\\n"); }');
    expect((await host.wkfs("plugins")).stderr).toMatch(/^the hook ran\n/);

    await chmod(host.path("data"), 0o777);
    for (const command of [
      ["plugins"],
      ["plugins", "install", "file:/nowhere"],
      ["plugins:link", "."],
      ["daemon", "--check", ...CONFIG],
    ]) {
      const { code, stderr } = await host.wkfs(...command);
      expect(code).toBe(2);
      expect(stderr).toContain("can be written by others");
      expect(stderr).not.toContain("the hook ran");
    }
  });

  it("says with 4 that a server refused, and with 3 that nobody is there behind the web server", async () => {
    await using host = await Sandbox.create();
    await installed(host);
    const statuses = [403, 504];
    const server = createServer((_, response) => response.writeHead(statuses.shift() ?? 500).end()).listen(
      0,
      "127.0.0.1",
    );
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
    await host.wkfs("client", "install", "--url", url, "--keys", "etc/v1.json", "--force");
    expect(await host.wkfs("client", "info")).toMatchObject({ code: 4, stdout: "" });
    expect(await host.wkfs("client", "info")).toMatchObject({ code: 3, stdout: "" });
    server.close();
  });
});
