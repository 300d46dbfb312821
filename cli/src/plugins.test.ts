import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { loadPlugins } from "./plugins.ts";

const source = { locate: (path: readonly (string | number)[]) => `wkfs.yaml:7 ${path.join(".")}` };
const use = (name: string) => [{ use: name, config: {}, path: ["notify", 0] }];

const MARK = "globalThis.wkfsPluginRan = true; export default {};";

let dataDir: string;
beforeEach(async () => void (dataDir = await mkdtemp(join(tmpdir(), "wkfs-data-"))));
afterEach(async () => await rm(dataDir, { recursive: true }));

/** Puts a package where npm would, as `wkfs plugins install` does. */
async function install(
  ...packages: { name: string; plugin?: string; code?: string; description?: object }[]
): Promise<void> {
  for (const { name, plugin = "slack", code, description } of packages) {
    const root = join(dataDir, "node_modules", name);
    await mkdir(root, { recursive: true });
    await writeFile(
      join(root, "package.json"),
      JSON.stringify({
        name,
        version: "1.0.0",
        type: "module",
        exports: { ".": { import: "./main.js" } },
        wkfs: { apiVersion: 1 },
        ...description,
      }),
    );
    const text = `import { API_VERSION } from "@wkfs/core";
      export default { name: ${JSON.stringify(plugin)}, apiVersion: API_VERSION, kind: "notifier", configSchema: {}, create() {} };`;
    await writeFile(join(root, "main.js"), code ?? text);
  }
  const plugins = packages.map(({ name }) => ({ name, type: "user", tag: "latest" }));
  await writeFile(join(dataDir, "package.json"), JSON.stringify({ oclif: { schema: 1, plugins } }));
}

describe("plugins", () => {
  it("that are bundled are there without a data directory, each once", async () => {
    const plugins = await loadPlugins(
      [...use("localhost-tcp"), ...use("localhost-tcp")],
      source,
      join(dataDir, "none"),
    );
    expect(plugins.map(({ name }) => name)).toEqual(["localhost-tcp"]);
  });

  it.each([["@wkfs/slack"], ["wkfs-plugin-slack"], ["@acme/wkfs-plugin-slack"]])(
    "that are installed are found by what `use:` says: %s; core is lent to them",
    async (name) => {
      await install({ name });
      const plugins = await loadPlugins(use("slack"), source, dataDir);
      expect(plugins).toMatchObject([{ name: "slack", apiVersion: 1 }]);
    },
  );

  it.each(["slack", "@acme/slack", "wkfs-slack"])("are not packages that are called otherwise: %s", async (name) => {
    await install({ name, code: MARK });
    await expect(loadPlugins(use("slack"), source, dataDir)).rejects.toMatchObject({ code: "PLUGIN_INVALID" });
    expect(globalThis).not.toHaveProperty("wkfsPluginRan");
  });

  it("are taken from @wkfs first, then from wkfs-plugin-NAME", async () => {
    await install(
      { name: "@acme/wkfs-plugin-slack", code: MARK },
      { name: "wkfs-plugin-slack", code: MARK },
      { name: "@wkfs/slack" },
    );
    expect(await loadPlugins(use("slack"), source, dataDir)).toHaveLength(1);
    expect(globalThis).not.toHaveProperty("wkfsPluginRan");
  });

  it.each(["nothing", "__proto__", "toString", "../../evil"])(
    "that nobody has are an error with the line and the command that installs: %s",
    async (name) => {
      await expect(loadPlugins(use(name), source, dataDir)).rejects.toMatchObject({
        code: "PLUGIN_INVALID",
        message: expect.stringMatching(/^wkfs\.yaml:7 notify\.0\.use: /),
        hint: expect.stringMatching(/^Install it with: WKFS_DATA_DIR=\S+ wkfs plugins install (nothing|NAME) /),
      });
    },
  );

  it("are not used by the name of their package, and the hint says how", async () => {
    await install({ name: "wkfs-plugin-slack" });
    await expect(loadPlugins(use("wkfs-plugin-slack"), source, dataDir)).rejects.toMatchObject({
      code: "PLUGIN_INVALID",
      hint: "Write: use: slack",
    });
  });

  it.each([
    ["another name", { plugin: "other" }],
    ["no plugin", { code: "export default 1" }],
    ["a fault", { code: "throw new Error('oh')" }],
    ["no such file", { description: { exports: undefined, main: "./gone.js" } }],
    ["another kind", { description: { wkfs: { apiVersion: 1, kind: "store" } } }],
  ])("that are not what they should be are an error: %s", async (_, plugin) => {
    await install({ name: "wkfs-plugin-slack", ...plugin });
    await expect(loadPlugins(use("slack"), source, dataDir)).rejects.toMatchObject({ code: "PLUGIN_INVALID" });
  });

  it.each([
    ["for another version of the contracts", { wkfs: { apiVersion: 99 } }],
    ["without the key", { wkfs: undefined }],
    ["with a core of their own", { dependencies: { "@wkfs/core": "0.1.0" } }],
  ])("%s are refused before any of their code runs", async (_, description) => {
    await install({ name: "wkfs-plugin-slack", code: MARK, description });
    await expect(loadPlugins(use("slack"), source, dataDir)).rejects.toMatchObject({ code: "PLUGIN_INVALID" });
    expect(globalThis).not.toHaveProperty("wkfsPluginRan");
  });

  it("whose code waits for ever are an error, and not the quiet end of the process", async () => {
    await install({ name: "wkfs-plugin-slack", code: "await globalThis.wkfsPluginWaits();" });
    const [asked, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    vi.stubGlobal("wkfsPluginWaits", () => (asked.resolve(), held.promise));
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const loading = loadPlugins(use("slack"), source, dataDir);
      const failed = vi.fn<(error: unknown) => void>();
      const ended = loading.catch(failed);
      await asked.promise;
      await vi.advanceTimersByTimeAsync(30_000);
      // Let go before it is looked at: a module that never ends would hold up the end of the tests.
      held.resolve();
      await ended;
      const error = expect.objectContaining({
        code: "PLUGIN_INVALID",
        cause: expect.objectContaining({ code: "PLUGIN_TIMEOUT" }) as unknown,
      });
      expect(failed).toHaveBeenCalledExactlyOnceWith(error);
    } finally {
      vi.useRealTimers();
      vi.unstubAllGlobals();
    }
  });

  it.each(["process.exit(0);", "const { exit } = process; await null; exit();"])(
    "whose code ends the process are an error that names them: %s",
    async (code) => {
      const { exit } = process;
      await install({ name: "wkfs-plugin-slack", code });
      await expect(loadPlugins(use("slack"), source, dataDir)).rejects.toMatchObject({
        code: "PLUGIN_INVALID",
        message: expect.stringMatching(/wkfs\.yaml:7 .*wkfs-plugin-slack 1\.0\.0 calls process\.exit\(0?\)/) as string,
      });
      expect(process.exit).toBe(exit);
    },
  );

  it("of which two could be meant are refused", async () => {
    await install({ name: "@a/wkfs-plugin-slack" }, { name: "@b/wkfs-plugin-slack" });
    await expect(loadPlugins(use("slack"), source, dataDir)).rejects.toMatchObject({ code: "PLUGIN_INVALID" });
  });

  it.each([".", "node_modules", "node_modules/wkfs-plugin-slack"])(
    "are refused when others can write %s",
    async (folder) => {
      await install({ name: "wkfs-plugin-slack", code: MARK });
      await chmod(join(dataDir, folder), 0o777);
      await expect(loadPlugins(use("slack"), source, dataDir)).rejects.toMatchObject({ code: "PLUGIN_INVALID" });
      expect(globalThis).not.toHaveProperty("wkfsPluginRan");
    },
  );
});
