import { chmod, copyFile, mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { type Package, folderOf, tarballOf } from "../../testing/npm-registry.ts";
import { MARK, notifier, hostile, installed, fine, exists, expectRefused } from "../../testing/plugin-packages.ts";
import { Sandbox } from "../../testing/wkfs.ts";

describe("wkfs plugins install, from a path", () => {
  it.each([
    ["x.tgz", "tarball", "here/x.tgz"],
    ["file:../folder", "folder", "folder"],
  ])("relative to the current folder: %s", async (spec, from, origin) => {
    await using host = await Sandbox.create();
    host.cwd = host.path("here");
    await mkdir(host.cwd);
    const tarball = await tarballOf(hostileToBuild("wkfs-plugin-mine"), host.dir);
    await copyFile(tarball, host.path("here/x.tgz"));
    await folderOf(hostileToBuild("wkfs-plugin-mine"), host.path("folder"));
    expect(await host.wkfs("plugins", "install", spec)).toEqual(fine);
    expect(await installed(host)).toMatchObject([{ name: "mine", from, origin: host.path(origin) }]);
    expect(await exists(host.path("ran"))).toBe(false);
    // It was copied, and is what was installed.
    expect((await stat(host.path("data/node_modules/wkfs-plugin-mine"))).isDirectory()).toBe(true);
    for (const gone of ["folder", "here/x.tgz"]) await rm(host.path(gone), { recursive: true });
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

  it("refuses a package that has core in it, unlisted, and one that depends on a folder", async () => {
    await using host = await Sandbox.create();
    const install = async (made: Package) => await host.wkfs("plugins", "install", await tarballOf(made, host.dir));
    const plain = notifier("wkfs-plugin-mine");
    const core = JSON.stringify({ name: "@wkfs/core", version: "0.1.0" });
    const files = { ...plain.files, "node_modules/@wkfs/core/package.json": core };
    await expectRefused(host, await install({ ...plain, files }), /second @wkfs\/core/, /optional peer/);
    await folderOf(notifier("left-dep"), host.path("left-dep"));
    const leaning = notifier("wkfs-plugin-x", {
      description: { dependencies: { "left-dep": `file:${host.path("left-dep")}` } },
    });
    await expectRefused(host, await install(leaning), /depends on a folder/, /bundleDependencies/);
    expect((await readdir(host.path("data/node_modules"))).filter((name) => !name.startsWith("."))).toEqual([]);
  });

  it("refuses what is no plugin for this wkfs, and what is not there", async () => {
    await using host = await Sandbox.create();
    const install = async (made: Package) => await host.wkfs("plugins", "install", await tarballOf(made, host.dir));
    await expectRefused(host, await install(hostile("slack")), /package name "slack"/, /wkfs-plugin-NAME/);
    const unbuilt = { ...notifier("wkfs-plugin-x"), files: {} };
    await expectRefused(host, await install(unbuilt), /has no index\.js/, /npm run build/);
    await folderOf(hostile("wkfs-plugin-x", { wkfs: undefined }), host.path("folder"));
    await expectRefused(host, await host.wkfs("plugins", "install", "./folder"), /no key/, /right package/);
    await expectRefused(host, await host.wkfs("plugins", "install", "./nothing"), /there is no .*nothing/, /npm pack/);
  });
});

/** Would mark that it ran, were a script run on packing or installing. */
function hostileToBuild(name: string): Package {
  const run = "touch $HOME/ran";
  return notifier(name, {
    description: { scripts: { prepare: run, prepack: run, prepublish: run, postinstall: run } },
  });
}

describe("wkfs plugins link", () => {
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

describe("commands of a plugin's own", () => {
  const command = (text: string) => `import { Command } from "@oclif/core";
    import { API_VERSION } from "@wkfs/core";
    export default class extends Command {
      static summary = "Say ${text}.";
      async run() { await this.parse(this.constructor); this.log("${text} " + API_VERSION); }
    }`;

  it("that end the process are no hindrance to servers, nor to the end of the plugin", async () => {
    await using host = await Sandbox.create();
    const made = notifier("wkfs-plugin-mine", { description: { oclif: { commands: "./commands" } } });
    const files = { ...made.files, "commands/mine.js": "process.exit(0);" };
    await folderOf({ ...made, files }, host.path("mine"));
    expect(await host.wkfs("plugins", "install", "./mine")).toEqual(fine);
    expect(await host.wkfs("daemon", "--config", "none.yaml")).toMatchObject({ code: 2, stdout: "" });
    expect(await host.wkfs("plugins", "uninstall", "mine")).toEqual(fine);
    expect(await installed(host)).toEqual([]);
  });

  it("are all that it may add to oclif: a hook would run at every command", async () => {
    await using host = await Sandbox.create();
    const oclif = { hooks: { init: "./index.js" } };
    const tarball = await tarballOf(hostile("wkfs-plugin-mine", { oclif }), host.dir);
    await expectRefused(host, await host.wkfs("plugins", "install", tarball), /at every command/, /nothing else/);
  });

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
