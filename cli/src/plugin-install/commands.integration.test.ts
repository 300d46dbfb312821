import { chmod, copyFile, mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { NpmRegistry, type Package, folderOf, tarballOf } from "../../testing/npm-registry.ts";
import { type Outcome, Sandbox } from "../../testing/wkfs.ts";

const MARK = "globalThis.process.getBuiltinModule('fs').writeFileSync(process.env.HOME + '/ran', '');";

/** A notifier that does nothing, as a package. */
function notifier(name: string, more: { version?: string; description?: object; code?: string } = {}): Package {
  const use = name.replace(/^(@wkfs\/|(@[^/]+\/)?wkfs-plugin-)/, "");
  const code = `import { API_VERSION } from "@wkfs/core";
    const schema = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
    export default { name: "${use}", apiVersion: API_VERSION, kind: "notifier", configSchema: schema,
      create: () => ({ async notify() {}, async close() {} }) };`;
  const description = {
    type: "module",
    exports: "./index.js",
    wkfs: { apiVersion: 1, kind: "notifier" },
    peerDependencies: { "@wkfs/core": "^0.1.0" },
    ...more.description,
  };
  return { name, version: more.version ?? "1.0.0", description, files: { "index.js": more.code ?? code } };
}

/** Marks that it ran, on installing and on import. */
function hostile(name: string, description: object = {}): Package {
  const scripts = { preinstall: "touch $HOME/ran", install: "touch $HOME/ran", postinstall: "touch $HOME/ran" };
  return notifier(name, { code: `${MARK} export default {};`, description: { scripts, ...description } });
}

async function site(...packages: readonly Package[]) {
  const stack = new AsyncDisposableStack();
  const host = stack.use(await Sandbox.create());
  const registry = stack.use(await NpmRegistry.start());
  for (const one of packages) await registry.publish(one);
  host.useRegistry(registry.url);
  return { host, registry, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function rows(host: Sandbox, ...flags: readonly string[]): Promise<Record<string, unknown>[]> {
  return JSON.parse((await host.wkfs("plugins", "--json", ...flags)).stdout) as Record<string, unknown>[];
}

async function installed(host: Sandbox): Promise<unknown[]> {
  return (await rows(host)).filter(({ from }) => from !== "bundled");
}

const fine = expect.objectContaining({ code: 0, stderr: "" }) as Outcome;
const exists = async (path: string) => (await stat(path).catch(() => undefined)) !== undefined;

/** That it was refused, with what to do, that nothing of it ran, and that nothing is left. */
async function expectRefused(host: Sandbox, outcome: Outcome, message: RegExp, hint: RegExp): Promise<void> {
  expect(outcome).toMatchObject({ code: 2, stdout: "" });
  expect(outcome.stderr).toMatch(/^Error: .*\nHint: .*\n$/);
  expect(outcome.stderr.split("\n")[0]).toMatch(message);
  expect(outcome.stderr.split("\n")[1]).toMatch(hint);
  expect(await exists(host.path("ran"))).toBe(false);
  const left = await readdir(host.path("data")).catch(() => []);
  expect(left.filter((name) => name.startsWith(".incoming"))).toEqual([]);
  expect(await readdir(host.path("data", "tarballs")).catch(() => [])).toEqual([]);
  expect(await installed(host)).toEqual([]);
}

describe.concurrent("wkfs plugins install, from the registry", () => {
  it("takes a short name for wkfs-plugin-NAME, as `plugins:install` and as `plugins install`", async () => {
    await using at = await site(notifier("wkfs-plugin-pager"), notifier("@acme/wkfs-plugin-horn"));
    expect(await at.host.wkfs("plugins:install", "pager")).toEqual(fine);
    expect(await at.host.wkfs("plugins", "install", "@acme/wkfs-plugin-horn@^1.0")).toEqual(fine);
    expect(await installed(at.host)).toMatchObject([
      {
        name: "horn",
        kind: "notifier",
        version: "1.0.0",
        from: "registry",
        origin: "^1.0",
        package: "@acme/wkfs-plugin-horn",
      },
      { name: "pager", kind: "notifier", version: "1.0.0", from: "registry", origin: "latest", usedAt: [] },
    ]);
    expect(await at.host.wkfs("plugins:uninstall", "horn")).toEqual(fine);
    expect(await at.host.wkfs("plugins", "uninstall", "wkfs-plugin-pager")).toEqual(fine);
    expect(await installed(at.host)).toEqual([]);
    expect(await readdir(at.host.path("data", "tarballs"))).toEqual([]);
    expect(await exists(at.host.path("data", "node_modules", "wkfs-plugin-pager"))).toBe(false);
    expect(await at.host.wkfs("plugins", "uninstall", "pager")).toMatchObject({ code: 2 });
  });

  it("takes @wkfs/NAME before it", async () => {
    await using at = await site(notifier("wkfs-plugin-pager"), notifier("@wkfs/pager"));
    expect(await at.host.wkfs("plugins", "install", "pager")).toEqual(fine);
    expect(await installed(at.host)).toMatchObject([{ package: "@wkfs/pager" }]);
    const second = await at.host.wkfs("plugins", "install", "wkfs-plugin-pager");
    expect(second).toMatchObject({ code: 2, stderr: expect.stringContaining("wkfs plugins uninstall @wkfs/pager") });
  });

  it("neither fetches nor runs an unrelated package that happens to have the name", async () => {
    await using at = await site(hostile("slack"), hostile("wkfs"), hostile("@acme/slack"));
    const outcome = await at.host.wkfs("plugins", "install", "slack");
    await expectRefused(at.host, outcome, /registry has no @wkfs\/slack nor wkfs-plugin-slack/, /\.\/slack/);
    expect(at.registry.requests).toEqual(["/@wkfs/slack", "/wkfs-plugin-slack"]);
    const scoped = await at.host.wkfs("plugins", "install", "@acme/slack");
    await expectRefused(at.host, scoped, /"@acme\/slack" is no name of a plugin/, /wkfs-plugin-NAME/);
    for (const spec of ["https://example.org/x", "git+ssh://example.org/x.git", "github:acme/slack", "npm:slack"]) {
      await expectRefused(at.host, await at.host.wkfs("plugins", "install", spec), /no tarball and no folder/, /path/);
    }
    expect(at.registry.requests).toHaveLength(2);
  });

  it("does not fetch a package without the key, or for another version of the contracts", async () => {
    await using at = await site(
      hostile("wkfs-plugin-keyless", { wkfs: undefined }),
      hostile("wkfs-plugin-odd", { wkfs: true }),
      hostile("wkfs-plugin-new", { wkfs: { apiVersion: 99 } }),
      hostile("wkfs-plugin-old", { wkfs: { apiVersion: 0 } }),
      hostile("wkfs-plugin-heavy", { dependencies: { "@wkfs/core": "0.1.0" } }),
    );
    const install = (name: string) => at.host.wkfs("plugins", "install", name);
    await expectRefused(at.host, await install("keyless"), /no key "wkfs"/, /right package/);
    await expectRefused(at.host, await install("odd"), /a wrong key "wkfs"/, /right package/);
    await expectRefused(at.host, await install("new"), /version 99/, /Update wkfs, .*wkfs-plugin-new@VERSION/);
    await expectRefused(at.host, await install("old"), /version 0/, /wkfs-plugin-old@latest/);
    await expectRefused(at.host, await install("heavy"), /second @wkfs\/core/, /peerDependencies/);
    expect(at.registry.requests.filter((path) => path.endsWith(".tgz"))).toEqual([]);
  });

  it("believes what is in a package, and not what the registry says of it", async () => {
    await using at = await site();
    await at.registry.publish(hostile("wkfs-plugin-liar", { wkfs: undefined }), { wkfs: { apiVersion: 1 } });
    const outcome = await at.host.wkfs("plugins", "install", "liar");
    await expectRefused(at.host, outcome, /wkfs-plugin-liar 1\.0\.0 .* no key "wkfs"/, /right package/);
  });

  it("runs no script of a package or of what it depends on, whatever npm is told", async () => {
    const dependencies = { "left-dep": "1.0.0" };
    await using at = await site(
      hostile("wkfs-plugin-loud", { dependencies, hasInstallScript: true }),
      hostile("left-dep", { hasInstallScript: true }),
    );
    await writeFile(at.host.path(".npmrc"), "ignore-scripts=false\nregistry=http://127.0.0.1:1/\n");
    Object.assign(at.host.env, { npm_config_ignore_scripts: "false", npm_config_global: "true" });
    expect(await at.host.wkfs("plugins", "install", "loud")).toEqual(fine);
    expect(await exists(at.host.path("data", "node_modules", "left-dep", "index.js"))).toBe(true);
    expect(await installed(at.host)).toMatchObject([{ name: "loud" }]);
    expect(await exists(at.host.path("ran"))).toBe(false);
  });

  it("installs no second core, by no way", async () => {
    const core = { name: "@wkfs/core", version: "0.1.0" };
    await using at = await site(
      core,
      notifier("wkfs-plugin-peer"),
      notifier("wkfs-plugin-deep", { description: { dependencies: { "deep-dep": "1.0.0" } } }),
      { name: "deep-dep", description: { dependencies: { "@wkfs/core": "0.1.0" } } },
    );
    expect(await at.host.wkfs("plugins", "install", "peer")).toEqual(fine);
    expect(at.registry.requests).not.toContain("/@wkfs/core");
    expect(await exists(at.host.path("data", "node_modules", "@wkfs"))).toBe(false);
    const deep = await at.host.wkfs("plugins", "install", "deep");
    expect(deep).toMatchObject({ code: 2, stderr: expect.stringContaining("second @wkfs/core") });
    const left = await readdir(at.host.path("data", "node_modules"), { recursive: true });
    expect(left.filter((path) => /core|deep/.test(path))).toEqual([]);
    expect(await installed(at.host)).toMatchObject([{ name: "peer", version: "1.0.0" }]);
  });

  it("says that the registry does not answer, with exit code 3", async () => {
    await using host = await Sandbox.create();
    const outcome = await host.wkfs("plugins", "install", "pager", "--json");
    expect(outcome).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/^Error: .*ECONNREFUSED.*\nHint: .*proxy/),
    });
    expect(JSON.parse(outcome.stdout)).toMatchObject({ error: { code: "SERVER_UNREACHABLE" } });
  });

  it("needs nothing for a bundled one", async () => {
    await using host = await Sandbox.create();
    const outcome = await host.wkfs("plugins", "install", "smtp-email");
    await expectRefused(host, outcome, /"smtp-email" comes with wkfs/, /use: smtp-email/);
  });
});

describe.concurrent("wkfs plugins update", () => {
  it("installs what is newer for what was asked, and keeps what it had when that fails", async () => {
    await using at = await site(notifier("wkfs-plugin-a"), notifier("wkfs-plugin-b"), notifier("wkfs-plugin-c"));
    expect(await at.host.wkfs("plugins", "install", "a", "b@1.0.0", "c")).toEqual(fine);
    await at.registry.publish(notifier("wkfs-plugin-a", { version: "1.1.0" }));
    await at.registry.publish(notifier("wkfs-plugin-b", { version: "1.1.0" }));
    await at.registry.publish(hostile("wkfs-plugin-c", { version: "1.1.0", wkfs: { apiVersion: 2 } }));
    const outcome = await at.host.wkfs("plugins:update");
    expect(outcome).toMatchObject({ code: 2, stderr: expect.stringContaining("wkfs-plugin-c 1.1.0 is for version 2") });
    expect(outcome.stdout).toContain("wkfs-plugin-a: 1.0.0 -> 1.1.0");
    expect(await installed(at.host)).toMatchObject([
      { name: "a", version: "1.1.0" },
      { name: "b", version: "1.0.0" },
      { name: "c", version: "1.0.0" },
    ]);
    expect(await readdir(at.host.path("data", "tarballs"))).toHaveLength(3);
    expect(await at.host.wkfs("plugins", "update", "a", "b")).toEqual(fine);
  });
});

describe.concurrent("wkfs plugins install, from a path", () => {
  it.each([
    ["./x.tgz", "tarball", "here/x.tgz"],
    ["x.tgz", "tarball", "here/x.tgz"],
    ["file:../x.tgz", "tarball", "x.tgz"],
    ["../folder", "folder", "folder"],
    ["file:../folder", "folder", "folder"],
  ])("relative to the current folder: %s", async (spec, from, origin) => {
    await using host = await Sandbox.create();
    host.cwd = host.path("here");
    await mkdir(host.cwd);
    const tarball = await tarballOf(hostileToBuild("wkfs-plugin-mine"), host.dir);
    await copyFile(tarball, host.path("here/x.tgz"));
    await copyFile(tarball, host.path("x.tgz"));
    await folderOf(hostileToBuild("wkfs-plugin-mine"), host.path("folder"));
    expect(await host.wkfs("plugins", "install", spec)).toEqual(fine);
    expect(await installed(host)).toMatchObject([{ name: "mine", from, origin: host.path(origin) }]);
    expect(await exists(host.path("ran"))).toBe(false);
    // It was copied, and is what was installed.
    expect((await stat(host.path("data/node_modules/wkfs-plugin-mine"))).isDirectory()).toBe(true);
    for (const gone of ["folder", "x.tgz", "here/x.tgz"]) await rm(host.path(gone), { recursive: true });
    const other = await tarballOf(notifier("wkfs-plugin-other"), host.dir);
    expect(await host.wkfs("plugins", "install", other)).toEqual(fine);
    expect(await installed(host)).toMatchObject([{ name: "mine", version: "1.0.0" }, { name: "other" }]);
    // What cannot be updated stays.
    expect((await host.wkfs("plugins", "update", "mine")).code).toBe(2);
    expect(await installed(host)).toMatchObject([{ name: "mine", version: "1.0.0" }, { name: "other" }]);
  });

  it("takes the same version anew when its content changed", async () => {
    await using host = await Sandbox.create();
    await folderOf(notifier("wkfs-plugin-mine"), host.path("folder"));
    expect(await host.wkfs("plugins", "install", "./folder")).toEqual(fine);
    await writeFile(host.path("folder/index.js"), "// changed");
    expect(await host.wkfs("plugins", "update")).toEqual(fine);
    expect(await readFile(host.path("data/node_modules/wkfs-plugin-mine/index.js"), "utf8")).toBe("// changed");
    expect(await readdir(host.path("data", "tarballs"))).toHaveLength(1);
  });

  it("refuses what is no plugin for this wkfs, and what is not there", async () => {
    await using host = await Sandbox.create();
    const install = async (made: Package) => await host.wkfs("plugins", "install", await tarballOf(made, host.dir));
    await expectRefused(host, await install(hostile("slack")), /package name "slack"/, /wkfs-plugin-NAME/);
    await expectRefused(host, await install(hostile("wkfs-plugin-x", { wkfs: undefined })), /no key/, /right package/);
    await expectRefused(
      host,
      await install(hostile("wkfs-plugin-x", { wkfs: { apiVersion: 7 } })),
      /version 7/,
      /Update/,
    );
    await folderOf(hostile("wkfs-plugin-x", { wkfs: undefined }), host.path("folder"));
    await expectRefused(host, await host.wkfs("plugins", "install", "./folder"), /no key/, /right package/);
    await expectRefused(host, await host.wkfs("plugins", "install", "./nothing"), /there is no .*nothing/, /npm pack/);
    await writeFile(host.path("text.tgz"), "no tarball at all");
    await expectRefused(host, await host.wkfs("plugins", "install", "text.tgz"), /text\.tgz is no package/, /npm pack/);
    await mkdir(host.path("empty"));
    await expectRefused(
      host,
      await host.wkfs("plugins", "install", "./empty"),
      /no folder of a package/,
      /package\.json/,
    );
  });
});

/** Would mark that it ran, were a script run on packing or installing. */
function hostileToBuild(name: string): Package {
  const run = "touch $HOME/ran";
  return notifier(name, {
    description: { scripts: { prepare: run, prepack: run, prepublish: run, postinstall: run } },
  });
}

describe.concurrent("wkfs plugins link", () => {
  it("uses a folder where it is, and not one that others can write", async () => {
    await using host = await Sandbox.create();
    await folderOf(notifier("wkfs-plugin-mine"), host.path("mine"));
    host.cwd = host.path("mine");
    expect(await host.wkfs("plugins:link")).toEqual(fine);
    expect(await installed(host)).toMatchObject([{ name: "mine", from: "link", origin: host.path("mine") }]);
    expect((await host.wkfs("plugins", "inspect", "mine")).stdout).toContain(`link ${host.path("mine")}`);
    expect(await host.wkfs("plugins", "unlink", "mine")).toEqual(fine);
    expect(await exists(host.path("mine/package.json"))).toBe(true);
    await chmod(host.path("mine"), 0o777);
    await expectRefused(host, await host.wkfs("plugins", "link"), /can be written by others/, /belong to root/);
  });

  it("of which the folder is gone, or open to others, is shown with what to do, and stops nothing else", async () => {
    await using host = await Sandbox.create();
    await folderOf(
      notifier("wkfs-plugin-mine", { description: { oclif: { commands: "./commands" } } }),
      host.path("mine"),
    );
    await mkdir(host.path("mine/commands"));
    await writeFile(host.path("mine/commands/hello.js"), `${MARK} export default class {}`);
    expect((await host.wkfs("plugins", "link", "./mine")).code).toBe(0);
    await chmod(host.path("mine"), 0o777);
    const open = await host.wkfs("plugins");
    expect(open).toMatchObject({ code: 0, stderr: expect.stringContaining("can be written by others") });
    expect(await exists(host.path("ran"))).toBe(false);
    await rm(host.path("mine"), { recursive: true });
    const gone = await host.wkfs("plugins");
    expect(gone).toMatchObject({ code: 0, stderr: expect.stringContaining("wkfs plugins uninstall wkfs-plugin-mine") });
  });
});

describe.concurrent("the data directory", () => {
  it.each(["install", "update", "uninstall", "link"])(
    "is refused by `%s` when others can write there",
    async (command) => {
      await using host = await Sandbox.create();
      await folderOf(hostile("wkfs-plugin-mine"), host.path("mine"));
      await mkdir(host.path("data"));
      await chmod(host.path("data"), 0o777);
      const outcome = await host.wkfs("plugins", command, "./mine");
      expect(outcome).toMatchObject({ code: 2, stdout: "" });
      expect(outcome.stderr).toMatch(
        /^Error: plugins are refused: .*data can be written by others.*\nHint: .*WKFS_DATA_DIR/,
      );
      expect(await readdir(host.path("data"))).toEqual([]);
    },
  );

  it("is refused when others can write a folder above, also when it is not there yet", async () => {
    await using host = await Sandbox.create();
    await folderOf(hostile("wkfs-plugin-mine"), host.path("mine"));
    await mkdir(host.path("open"));
    await chmod(host.path("open"), 0o777);
    host.env["WKFS_DATA_DIR"] = host.path("open/data");
    const outcome = await host.wkfs("plugins", "install", "./mine");
    expect(outcome).toMatchObject({ code: 2, stderr: expect.stringContaining(`${host.path("open")} can be written`) });
    expect(await readdir(host.path("open/data"))).toEqual([]);
  });

  it("can be read by the user of the daemon, and written by none, whatever the umask is", async () => {
    await using host = await Sandbox.create();
    await folderOf(notifier("wkfs-plugin-mine"), host.path("mine"));
    await chmod(host.path("mine/index.js"), 0o666);
    const before = process.umask(0o077);
    const running = host.wkfs("plugins", "install", "./mine");
    process.umask(before);
    expect(await running).toEqual(fine);
    const mode = async (path: string) => ((await stat(host.path("data", path))).mode & 0o777).toString(8);
    for (const path of [".", "node_modules", "node_modules/wkfs-plugin-mine"]) expect(await mode(path)).toBe("755");
    for (const path of ["package.json", "node_modules/wkfs-plugin-mine/index.js"]) expect(await mode(path)).toBe("644");
  });
});

describe.concurrent("commands of a plugin's own", () => {
  const command = (text: string) => `import { Command } from "@oclif/core";
    import { API_VERSION } from "@wkfs/core";
    export default class extends Command {
      static summary = "Say ${text}.";
      async run() { await this.parse(this.constructor); this.log("${text} " + API_VERSION); }
    }`;

  it("are there after the installation, with our core, and never in the place of ours", async () => {
    await using host = await Sandbox.create();
    const made = notifier("wkfs-plugin-mine", { description: { oclif: { commands: "./commands" } } });
    const files = {
      ...made.files,
      "commands/mine/hello.js": command("hello"),
      "commands/config/check.js": command("usurped"),
    };
    await folderOf({ ...made, files }, host.path("mine"));
    expect(await host.wkfs("plugins", "install", "./mine")).toEqual(fine);
    expect(await host.wkfs("mine", "hello")).toEqual({ code: 0, stdout: "hello 1\n", stderr: "" });
    expect(await host.wkfs("mine:hello")).toEqual({ code: 0, stdout: "hello 1\n", stderr: "" });
    expect((await host.wkfs("--help")).stdout).toContain("mine");
    expect((await host.wkfs("plugins", "inspect", "mine")).stdout).toContain("wkfs mine hello");
    expect((await host.wkfs("config", "check")).stdout).not.toContain("usurped");
    expect(await exists(host.path("data/node_modules/@oclif"))).toBe(false);
    expect(await host.wkfs("plugins", "uninstall", "mine")).toEqual(fine);
    expect((await host.wkfs("mine", "hello")).code).toBe(2);
  });
});

describe.concurrent("wkfs plugins, with a configuration", () => {
  const yaml = (notify: string) =>
    `protect: { tcp: [22] }\nfirewall: [{ use: dry-run }]\nstore: { use: memory }\ntransport: { use: unix-socket, path: /run/x.sock }\nnotify:\n  - ${notify}\n`;

  it("says what is used and what is missing, and the hint of a start is the command that installs it", async () => {
    await using at = await site(notifier("wkfs-plugin-pager"), notifier("wkfs-plugin-idle"));
    const file = at.host.path("wkfs.yaml");
    await writeFile(file, yaml("{ use: pager }"));
    await at.host.wkfs("plugins", "install", "idle");
    const missing = await at.host.wkfs("plugins", "--config", file);
    expect(missing.code).toBe(0);
    expect(missing.stdout).toMatch(/^pager\tnotifier\t-\tyes\tmissing$/m);
    expect(missing.stdout).toMatch(/^idle\tnotifier\t1\.0\.0\tno\tregistry latest$/m);
    expect(missing.stdout).toMatch(/^dry-run\tfirewall\t0\.1\.0\tyes\tbundled$/m);
    expect(missing.stdout).toMatch(/^webhook\tnotifier\t0\.1\.0\tno\tbundled$/m);
    const start = await at.host.wkfs("daemon", "--config", file);
    expect(start).toMatchObject({ code: 2, stdout: "" });
    expect(start.stderr).toContain(`${file}:6: plugin "pager": `);
    const [, dir, args = ""] = /Install it with: WKFS_DATA_DIR=(\S+) wkfs ([a-z ]+[a-z])/.exec(start.stderr) ?? [];
    expect(missing.stderr).toContain(`WKFS_DATA_DIR=${dir} wkfs ${args}`);
    expect(dir).toBe(at.host.path("data"));
    expect(await at.host.wkfs(...args.split(" "))).toEqual(fine);
    expect(await at.host.wkfs("config", "check", "--config", file)).toEqual(fine);
    const [pager] = (await rows(at.host, "--config", file)).filter(({ name }) => name === "pager");
    expect(pager).toMatchObject({ used: true, usedAt: [`${file}:6`], version: "1.0.0" });
    expect((await at.host.wkfs("plugins", "inspect", "pager", "--config", file)).stdout).toContain(`${file}:6`);
  });

  it("lists the plugins also when the configuration that was named is wrong only in their use", async () => {
    await using host = await Sandbox.create();
    const outcome = await host.wkfs("plugins", "--config", host.path("none.yaml"));
    expect(outcome).toMatchObject({ code: 2, stderr: expect.stringContaining("none.yaml") });
    host.env["WKFS_CONFIG"] = host.path("none.yaml");
    expect((await host.wkfs("plugins")).code).toBe(2);
  });
});
