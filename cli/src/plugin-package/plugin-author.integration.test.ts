import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { Sandbox, freePort } from "../../testing/wkfs.ts";
import { KINDS } from "./plugin-package.ts";

const run = promisify(execFile);
const MODULES = fileURLToPath(new URL("../../../node_modules", import.meta.url));
/** An author's environment: this Node, and none of the settings by which npm runs our tests. */
const env = { PATH: `${dirname(process.execPath)}:${process.env["PATH"]}` };

/** A package as an author has it after `npm install`: core and the tools are those of this repository. */
async function created(host: Sandbox, kind: string): Promise<string> {
  const made = await host.wkfs("plugins", "create", "mine", "--kind", kind, "--json");
  expect(made).toMatchObject({ code: 0, stderr: "" });
  const folder = host.path("wkfs-plugin-mine");
  expect((JSON.parse(made.stdout) as { readonly folder: string }).folder).toBe(folder);
  await symlink(MODULES, join(folder, "node_modules"));
  return folder;
}

describe.concurrent("a package that `wkfs plugins create` writes", () => {
  it.each(KINDS)("compiles and passes its own tests: %s", async (kind) => {
    await using host = await Sandbox.create();
    const folder = await created(host, kind);
    await run("npm", ["run", "build"], { cwd: folder, env });
    const { stdout } = await run(process.execPath, ["--test", "src/index.test.ts"], { cwd: folder, env });
    expect(stdout).toMatch(/^ℹ pass [1-9]/m);
    expect(stdout).toMatch(/^ℹ fail 0$/m);
    const again = await host.wkfs("plugins", "create", "mine", "--kind", kind);
    expect(again.code).toBe(2);
    expect(again.stderr).toContain("is there already");
  });

  it("is packed, installed and configured, and tells of the next knock", async () => {
    await using host = await Sandbox.create();
    const folder = await created(host, "notifier");
    await run("npm", ["pack"], { cwd: folder, env });
    await rm(join(folder, "node_modules"));
    const heard = Promise.withResolvers<unknown>();
    const server = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (piece: string) => (body += piece));
      request.on("end", () => {
        heard.resolve(JSON.parse(body));
        response.end();
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;

    const url = `http://127.0.0.1:${await freePort()}/x`;
    const flags = ["--tcp", "22", "--dir", "etc", "--state-dir", "state", "--path", "/x", "--firewall", "dry-run"];
    await host.wkfs("install", "server", ...flags, "--listen", new URL(url).host);
    await host.wkfs("install", "client", "--url", url, "--keys", "etc/v1.json");
    const file = host.path("etc/wkfs.yaml");
    const yaml = (await readFile(file, "utf8"))
      .replace(/^store: .*$/m, "store: { use: memory }")
      .replace(/^transport: .*$/m, `transport: { use: unix-socket, path: ${host.path("daemon.sock")} }`)
      .replace("notify: []", `notify: [{ use: mine, url: "http://127.0.0.1:${port}/" }]`);
    await writeFile(file, yaml);
    const config = ["--config", file];
    const missing = await host.wkfs("config", "check", ...config);
    expect(missing.code).toBe(2);
    expect(missing.stderr).toContain("wkfs plugins install wkfs-plugin-mine");

    const installing = await host.wkfs("plugins", "install", `file:${folder}/wkfs-plugin-mine-0.1.0.tgz`);
    expect(installing).toMatchObject({ code: 0 });
    expect((await host.wkfs("plugins")).stdout).toContain("wkfs-plugin-mine");
    expect(await host.wkfs("config", "check", ...config)).toMatchObject({ code: 0, stderr: "" });

    const roles = [host.start(["daemon", ...config]), host.start(["serve", ...config])];
    for (const role of roles) await role.says("stderr", /"msg":"ready"/);
    expect(await host.wkfs("client", "open")).toMatchObject({ code: 0, stderr: "" });
    expect(await heard.promise).toMatchObject({ events: [{ type: "opened", leases: [{ port: { number: 22 } }] }] });
    for (const role of roles) {
      role.kill("SIGTERM");
      expect((await role.ended).code).toBe(0);
    }
    server.closeAllConnections();
    server.close();
  });
});
