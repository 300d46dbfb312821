import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { whyNoKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { folderOf } from "../../testing/npm-registry.ts";
import { notifier, hostile, site, rows, fine, exists } from "../../testing/plugin-packages.ts";
import { RUN, Sandbox } from "../../testing/wkfs.ts";
import { alone } from "./alone.ts";

describe("the data directory", () => {
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

  it("is changed by one command at a time: the others say so, and change nothing", async () => {
    await using host = await Sandbox.create();
    await folderOf(notifier("wkfs-plugin-mine"), host.path("mine"));
    await mkdir(host.path("data"));
    const outcomes = await alone(host.path("data"), async () => {
      const commands = ["install", "update", "uninstall", "link"];
      return await Promise.all(commands.map((command) => host.wkfs("plugins", command, "./mine")));
    });
    for (const { code, stdout, stderr } of outcomes) {
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(/^Error: another wkfs changes the plugins in .*data at this moment\nHint: Run this again/);
    }
    expect(await readdir(host.path("data", "tarballs")).catch(() => [])).toEqual([]);
    expect(await host.wkfs("plugins", "link", "./mine")).toMatchObject({ code: 0 });
  });

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

// Its own /var/lib, seen by this process and its children alone.
const OWN_VAR_LIB = ["unshare", "--mount", "sh", "-ec", 'mount -t tmpfs none /var/lib; exec "$@"', "sh"];
const lack = whyNoKernel("mount");

describe.skipIf(lack !== undefined)(`the data directory of root${lack ? ` (${lack})` : ""}`, () => {
  it("is /var/lib/wkfs, and is refused when it belongs to somebody less privileged", async () => {
    await using host = await Sandbox.create();
    await folderOf(hostile("wkfs-plugin-mine"), host.path("mine"));
    const root = async (lines: string) => {
      const [program, ...args] = OWN_VAR_LIB;
      const wkfs = [process.execPath, RUN, "plugins"].join(" ");
      const text = lines.replaceAll("wkfs-plugins", wkfs);
      const nowhere = { npm_config_registry: "http://127.0.0.1:1/", npm_config_fetch_retries: "0" };
      const env = { ...nowhere, PATH: process.env["PATH"], HOME: host.dir };
      return await promisify(execFile)(program!, [...args, "sh", "-ec", text], { cwd: host.dir, env });
    };
    const { stdout } = await root("wkfs-plugins install ./mine; ls /var/lib/wkfs/node_modules; wkfs-plugins");
    expect(stdout).toMatch(/^Installed: wkfs-plugin-mine 1\.0\.0 in \/var\/lib\/wkfs\n(.*\n)*wkfs-plugin-mine\n/);
    expect(stdout).toMatch(/^mine\tnotifier\t/m);
    const theirs = root("mkdir /var/lib/wkfs; chown 12345 /var/lib/wkfs; wkfs-plugins install ./mine");
    await expect(theirs).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/uid 12345.*\nHint: .*WKFS_DATA_DIR/),
    });
    const linked = root("mkdir -m 777 /var/lib/w; ln -s w /var/lib/wkfs; wkfs-plugins install ./mine");
    await expect(linked).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining("can be written by others"),
    });
    expect(await exists(host.path("ran"))).toBe(false);
  });
});

describe("wkfs plugins, with a configuration", () => {
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
