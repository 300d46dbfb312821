import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, readdir, symlink, writeFile } from "node:fs/promises";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NpmRegistry } from "../cli/testing/npm-registry.ts";
import { type Running, Sandbox, freePort } from "../cli/testing/wkfs.ts";

/** What an author of a plugin does, outside of this repository, with PLUGINS.md and a registry of npm. */

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGE = await readFile(join(ROOT, "PLUGINS.md"), "utf8");

/** The commands that stand under a heading of PLUGINS.md. */
function commandsUnder(heading: string): string {
  const section = PAGE.split(/^## /m).find((text) => text.startsWith(`${heading}\n`));
  return /^```sh\n(.*?)^```$/ms.exec(section!)![1]!;
}

/** The registry of this test: what this repository has installed, and core as it would be published. */
let registry: NpmRegistry;
beforeAll(async () => {
  registry = await NpmRegistry.start();
  await registry.mirror();
  await using host = await Sandbox.create();
  await host.shell(`npm pack --ignore-scripts --loglevel=error "${ROOT}/core"`);
  const [tarball] = (await readdir(host.dir)).filter((name) => name.endsWith(".tgz"));
  const description = JSON.parse(await readFile(join(ROOT, "core", "package.json"), "utf8")) as object;
  await registry.publishTarball(host.path(tarball!), description);
});
afterAll(async () => await registry[Symbol.asyncDispose]());

/** Takes what is posted to it. */
async function hook() {
  const heard = Promise.withResolvers<unknown>();
  const server: Server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (piece: string) => (body += piece));
    request.on("end", () => {
      heard.resolve(JSON.parse(body));
      response.end();
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    url,
    heard: heard.promise,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const CONFIG = ["--config", "etc/wkfs.yaml"];

/** A server's and a client's configuration; no kernel. `sections` are YAML by their key, in the place of those that install wrote. */
async function configured(
  host: Sandbox,
  sections: Readonly<Record<string, string>>,
): Promise<(more: object) => Promise<void>> {
  const url = `http://127.0.0.1:${await freePort()}/x`;
  const flags = ["--tcp", "22", "--dir", "etc", "--state-dir", "state", "--path", "/x", "--firewall", "dry-run"];
  await host.wkfs("install", "server", ...flags, "--listen", new URL(url).host);
  await host.wkfs("client", "install", "--url", url, "--keys", "etc/v1.json");
  const file = host.path("etc/wkfs.yaml");
  const written = await readFile(file, "utf8");
  const change = async (more: object) => {
    let yaml = written;
    for (const [key, text] of Object.entries({ ...sections, ...more })) {
      expect(yaml).toMatch(new RegExp(`^${key}:`, "m"));
      yaml = yaml.replace(new RegExp(`^${key}:.*\\n(^[ -].*\\n)*`, "m"), `${key}: ${text}\n`);
    }
    await writeFile(file, yaml);
  };
  await change({});
  return change;
}

async function started(host: Sandbox, role: "daemon" | "serve"): Promise<Running> {
  const running = host.start([role, ...CONFIG]);
  await running.says("stderr", /"msg":"ready"/);
  return running;
}

async function stop(role: Running): Promise<void> {
  role.kill("SIGTERM");
  expect((await role.ended).code).toBe(0);
}

describe.concurrent("the author of a plugin", () => {
  it("creates, tests, packs, installs and configures one by PLUGINS.md, and hears of the next knock", async () => {
    await using host = await Sandbox.create();
    await using receiver = await hook();
    host.useRegistry(registry.url);
    const memory = { store: "{ use: memory }", transport: `{ use: unix-socket, path: ${host.path("daemon.sock")} }` };
    const configure = await configured(host, memory);
    const before = await started(host, "daemon");
    const gateway = await started(host, "serve");

    // Create and test.
    await mkdir(host.path("empty"));
    host.cwd = host.path("empty");
    const creating = commandsUnder("A package in one command");
    const tested = await host.shell(creating);
    expect(tested).toMatch(/^ℹ pass [1-9]/m);
    expect(tested).toMatch(/^ℹ fail 0$/m);
    host.cwd = host.path("empty", "wkfs-plugin-pager");
    expect(await readdir(host.path("empty"))).toEqual(["wkfs-plugin-pager"]);

    // Configure, by the README of the package. It is missing, and the start says so.
    const readme = await readFile(join(host.cwd, "README.md"), "utf8");
    const example = /^notify:\n {2}- (\{ use: pager, .*\})$/m.exec(readme)![1]!;
    await configure({ notify: `[${example.replace("https://hooks.example.org/wkfs", receiver.url)}]` });
    const inHost = host.cwd;
    host.cwd = host.dir;
    const missing = await host.wkfs("daemon", ...CONFIG);
    expect(missing.code).toBe(2);
    expect(missing.stderr).toContain(`WKFS_DATA_DIR=${host.path("data")} wkfs plugins install pager`);

    // Pack and install.
    host.cwd = inHost;
    const listed = await host.shell(commandsUnder("Packing and installing"));
    expect(listed).toMatch(/^pager\tnotifier\t0\.1\.0\t-\ttarball .*\/wkfs-plugin-pager-0\.1\.0\.tgz$/m);
    expect(readme).toContain("wkfs plugins install ./wkfs-plugin-pager-0.1.0.tgz\n");
    const modules = await readdir(host.path("data", "node_modules"));
    expect(modules.filter((name) => !name.startsWith("."))).toEqual(["wkfs-plugin-pager", "zod"]);

    // An error in its configuration names file, line, plugin and key; editors know its keys.
    host.cwd = host.dir;
    await configure({ notify: `[{ use: pager, ulr: "${receiver.url}" }]` });
    const wrong = await host.wkfs("config", "check", ...CONFIG);
    const text = /etc\/wkfs\.yaml:\d+: plugin pager: unknown key "notify\.0\.ulr"; did you mean "url"\?/;
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringMatching(text) as unknown });
    const schema = (await host.wkfs("config", "schema")).stdout;
    expect(JSON.parse(schema)).toMatchObject({
      properties: {
        notify: {
          items: {
            oneOf: expect.arrayContaining([
              expect.objectContaining({
                properties: expect.objectContaining({ use: { const: "pager" }, url: expect.anything() }),
              }),
            ]) as unknown,
          },
        },
      },
    });
    await configure({ notify: `[{ use: pager, url: "${receiver.url}" }]` });
    expect(await host.wkfs("config", "check", ...CONFIG)).toMatchObject({ code: 0, stderr: "" });

    // Restart and knock.
    await stop(before);
    const daemon = await started(host, "daemon");
    expect(await host.wkfs("client", "open")).toMatchObject({ code: 0, stderr: "" });
    expect(await receiver.heard).toMatchObject({ events: [{ type: "opened", leases: [{ port: { number: 22 } }] }] });
    for (const role of [daemon, gateway]) await stop(role);
  });

  it("gets a package of each kind that compiles, passes its own tests, installs, and runs", async () => {
    await using host = await Sandbox.create();
    host.useRegistry(registry.url);
    const kinds = ["firewall", "store", "transport"];
    const packages = kinds.map(async (kind) => {
      const made = await host.wkfs("plugins", "create", `my-${kind}`, "--kind", kind, "--json");
      expect(made).toMatchObject({ code: 0, stderr: "" });
      const { folder } = JSON.parse(made.stdout) as { readonly folder: string };
      expect(folder).toBe(host.path(`wkfs-plugin-my-${kind}`));
      // What `npm install` would fetch; the test above does.
      await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
      const env = { PATH: `${dirname(process.execPath)}:${process.env["PATH"]}`, TMPDIR: process.env["TMPDIR"] };
      const run = async (...args: string[]) => (await promisify(execFile)("npm", args, { cwd: folder, env })).stdout;
      await run("run", "build");
      const tested = await run("test");
      expect(tested).toMatch(/^ℹ pass [1-9]/m);
      expect(tested).toMatch(/^ℹ fail 0$/m);
      expect(await readFile(join(folder, ".github/workflows/ci.yml"), "utf8")).toContain("npm test");
      return folder;
    });
    await host.shell(`wkfs plugins install ${(await Promise.all(packages)).join(" ")}`);
    const again = await host.wkfs("plugins", "create", "my-store", "--kind", "store");
    expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining("is there already") as unknown });

    const bundled = await host.wkfs("plugins", "create", "exec", "--kind", "store");
    expect(bundled).toMatchObject({ code: 2, stderr: expect.stringContaining("comes with wkfs") as unknown });

    await configured(host, {
      firewall: `[{ use: my-firewall, path: ${host.path("leases")} }]`,
      store: `{ use: my-store, path: ${host.path("store.json")} }`,
      transport: `{ use: my-transport, path: ${host.path("daemon.sock")}, secret: transport.secret }`,
    });
    const check = await host.wkfs("config", "check", "--json", ...CONFIG);
    expect(JSON.parse(check.stdout)).toMatchObject({ plugins: ["my-transport", "my-firewall", "my-store"] });
    const roles = [await started(host, "daemon"), await started(host, "serve")];
    expect(await host.wkfs("client", "open")).toMatchObject({ code: 0, stderr: "" });
    expect(await readFile(host.path("leases"), "utf8")).toBe("127.0.0.1 tcp/22\n");
    expect(JSON.parse(await readFile(host.path("store.json"), "utf8"))).toMatchObject({ leases: [{ address: {} }] });
    for (const role of roles) await stop(role);
  });
});
