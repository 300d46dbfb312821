import { readdir, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { notifier, hostile, site, installed, fine, exists, expectRefused } from "../../testing/plugin-packages.ts";
import { Sandbox } from "../../testing/wkfs.ts";

describe("wkfs plugins install, from the registry", () => {
  it("takes a short name for wkfs-plugin-NAME, as `plugins:install` and as `plugins install`", async () => {
    await using at = await site(
      notifier("wkfs-plugin-pager"),
      notifier("@acme/wkfs-plugin-horn"),
      notifier("@wkfs/horn"),
    );
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
    const second = await at.host.wkfs("plugins", "install", "horn");
    expect(second).toMatchObject({ code: 2 });
    expect(second.stderr).toMatch(
      /^Error: @wkfs\/horn and .*\nHint: .*wkfs plugins uninstall @acme\/wkfs-plugin-horn$/m,
    );
    expect(await at.host.wkfs("plugins:uninstall", "horn")).toEqual(fine);
    expect(await at.host.wkfs("plugins", "uninstall", "wkfs-plugin-pager")).toEqual(fine);
    expect(await installed(at.host)).toEqual([]);
    expect(await readdir(at.host.path("data", "tarballs"))).toEqual([]);
    expect(await exists(at.host.path("data", "node_modules", "wkfs-plugin-pager"))).toBe(false);
    expect(await at.host.wkfs("plugins", "uninstall", "pager")).toMatchObject({ code: 2 });
  });

  it("neither fetches nor runs an unrelated package that happens to have the name", async () => {
    await using at = await site(hostile("slack"), hostile("wkfs"), hostile("@acme/slack"));
    const outcome = await at.host.wkfs("plugins", "install", "slack");
    await expectRefused(at.host, outcome, /registry has no @wkfs\/slack nor wkfs-plugin-slack/, /\.\/slack/);
    expect(at.registry.requests).toEqual(["/@wkfs/slack", "/wkfs-plugin-slack"]);
    const scoped = await at.host.wkfs("plugins", "install", "@acme/slack");
    await expectRefused(at.host, scoped, /"@acme\/slack" is no name of a plugin/, /wkfs-plugin-NAME/);
    expect(at.registry.requests).toHaveLength(2);
  });

  it("does not fetch a package without the key, or for another version of the contracts", async () => {
    await using at = await site(
      hostile("wkfs-plugin-keyless", { wkfs: undefined }),
      hostile("wkfs-plugin-new", { wkfs: { apiVersion: 99 } }),
    );
    const install = (name: string) => at.host.wkfs("plugins", "install", name);
    await expectRefused(at.host, await install("keyless"), /no key "wkfs"/, /right package/);
    await expectRefused(at.host, await install("new"), /version 99/, /Update wkfs, .*wkfs-plugin-new@VERSION/);
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

describe("wkfs plugins update", () => {
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
