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
