import { readFile, readdir, stat } from "node:fs/promises";
import { expect } from "vitest";
import { NpmRegistry, type Package } from "./npm-registry.ts";
import { type Outcome, Sandbox } from "./wkfs.ts";

export const MARK = "globalThis.process.getBuiltinModule('fs').writeFileSync(process.env.HOME + '/ran', '');";

/** A notifier that does nothing, as a package. */
export function notifier(name: string, more: { version?: string; description?: object; code?: string } = {}): Package {
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
export function hostile(name: string, description: object = {}): Package {
  const scripts = { preinstall: "touch $HOME/ran", install: "touch $HOME/ran", postinstall: "touch $HOME/ran" };
  return notifier(name, { code: `${MARK} export default {};`, description: { scripts, ...description } });
}

export async function site(...packages: readonly Package[]) {
  const stack = new AsyncDisposableStack();
  const host = stack.use(await Sandbox.create());
  const registry = stack.use(await NpmRegistry.start());
  for (const one of packages) await registry.publish(one);
  host.useRegistry(registry.url);
  return { host, registry, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

export async function rows(host: Sandbox, ...flags: readonly string[]): Promise<Record<string, unknown>[]> {
  return JSON.parse((await host.wkfs("plugins", "--json", ...flags)).stdout) as Record<string, unknown>[];
}

export async function installed(host: Sandbox): Promise<unknown[]> {
  return (await rows(host)).filter(({ from }) => from !== "bundled");
}

export const fine = expect.objectContaining({ code: 0, stderr: "" }) as Outcome;
export const exists = async (path: string) => (await stat(path).catch(() => undefined)) !== undefined;

/** That it was refused, with what to do, that nothing of it ran, and that nothing is left. */
export async function expectRefused(host: Sandbox, outcome: Outcome, message: RegExp, hint: RegExp): Promise<void> {
  expect(outcome).toMatchObject({ code: 2, stdout: "" });
  expect(outcome.stderr).toMatch(/^Error: .*\nHint: .*\n$/);
  expect(outcome.stderr.split("\n")[0]).toMatch(message);
  expect(outcome.stderr.split("\n")[1]).toMatch(hint);
  expect(await exists(host.path("ran"))).toBe(false);
  const left = await readdir(host.path("data")).catch(() => []);
  expect(left.filter((name) => name.startsWith(".incoming"))).toEqual([]);
  expect(await readdir(host.path("data", "tarballs")).catch(() => [])).toEqual([]);
  const kept = await readFile(host.path("data", "package.json"), "utf8").catch(() => "{}");
  expect((JSON.parse(kept) as { dependencies?: object }).dependencies ?? {}).toEqual({});
  expect(kept).not.toContain("wkfs-plugin-");
}
