import { execFile } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FOLDER, entries, reports } from "../scripts/api.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);
const TSC = join(root, "node_modules/typescript/bin/tsc");
const all = entries();

describe("what is public", () => {
  it.each([...reports()])("is what core/api/%s says", (file, text) => {
    expect(text, "When this change is meant, say so with: npm run api").toBe(readFileSync(join(FOLDER, file), "utf8"));
  });

  it("has no report of an entry point that is gone: npm run api", () => {
    expect(readdirSync(FOLDER).toSorted()).toEqual([...reports().keys()].toSorted());
  });

  it.each(all.map((entry) => [entry.specifier, entry] as const))("%s: every export has a doc comment", (_, entry) => {
    const bare = [...entry.exported.values()].filter(({ name, undocumented }) => undocumented.includes(name));
    expect(bare.map(({ name }) => name)).toEqual([]);
    expect(entry.exported.size).toBeGreaterThan(0);
  });

  it.each(all.map((entry) => [entry.specifier, entry] as const))(
    "%s: nothing needs a name that it has not",
    (_, entry) => {
      expect(entry.reached.map(({ name }) => name)).toEqual([]);
    },
  );
});

/** Uses a type and a value of each entry point, as a package of somebody else does. */
const CONSUMER = `
import { API_VERSION, type Notifier, type Plugin, WkfsError, definePlugin } from "@wkfs/core";
import { type ClientEvent, type KnockResult, createClient } from "@wkfs/core/client";
import { type ServerConfig, checkClientConfig, checkServerConfig } from "@wkfs/core/config";
import { ConfiguredPolicy, type Policy, Services, createDaemon } from "@wkfs/core/daemon";
import { type GatewayHandler, createGateway } from "@wkfs/core/gateway";
import { createLogger } from "@wkfs/core/log";
import { FakeClock, MemoryFirewall, MemoryStore } from "@wkfs/core/testing";
import { ContainerModule } from "inversify";
import { createServer } from "node:http";
import { once } from "node:events";
import { z } from "zod";

export const plugin: Plugin<"notifier", { url: string }> = definePlugin({
  name: "own",
  apiVersion: API_VERSION,
  kind: "notifier",
  configSchema: z.strictObject({ url: z.string() }),
  create: ({ url }): Notifier => ({
    notify: async ({ events }, signal) => {
      if (signal.aborted) throw new WkfsError("NOTIFY_FAILED", url + String(events.length));
    },
    close: async () => {},
  }),
});
// @ts-expect-error: a number is no address
plugin.create({ url: 7 }, undefined!);

export async function program(signal: AbortSignal): Promise<KnockResult> {
  const config: ServerConfig = await checkServerConfig({ protect: { tcp: [22] } });
  const clock = new FakeClock();
  const own: Policy = new ConfiguredPolicy(config);
  const modules = [
    new ContainerModule(({ bind }) => {
      bind(Services.Clock).toConstantValue(clock);
      bind(Services.Store).toConstantValue(new MemoryStore());
      bind(Services.Firewalls).toConstantValue([{ name: "memory", plugin: new MemoryFirewall({ clock }) }]);
      bind(Services.Policy).toConstantValue(own);
      // @ts-expect-error: a clock is no store
      bind(Services.Store).toConstantValue(clock);
    }),
  ];
  await using daemon = await createDaemon({ config, plugins: [plugin], modules, signal, log: createLogger({ name: "own" }) });
  daemon.on("opened", ({ leases }) => leases[0]?.deadline.toFixed());
  // @ts-expect-error: there is no such event
  daemon.on("unlocked", () => {});
  await using gateway = await createGateway({ config, plugins: [], listen: false });
  const handler: GatewayHandler = gateway.handler;
  createServer(handler);
  const client = await createClient({ config: await checkClientConfig({ url: "https://x/", keys: "k" }), signal });
  client.on("event", (event: ClientEvent) => (event.type === "failed" ? event.retryIn : event.renewIn).toFixed());
  await once(client, "opened", { signal });
  return await client.knock({ ports: { tcp: [22], udp: [] }, time: 60 });
}
`;

/** What the published package needs, or its consumers do: theirs are those of this checkout. */
const BESIDE = ["inversify", "zod", "@types/node"];

describe("the packed package", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(await realpath(tmpdir()), "wkfs-consumer-"));
    const modules = join(folder, "node_modules");
    const core = join(modules, "@wkfs/core");
    await mkdir(core, { recursive: true });
    const pack = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder, join(root, "core")];
    const { stdout } = await run("npm", pack, { cwd: folder });
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    await run("tar", ["-xzf", join(folder, filename), "-C", core, "--strip-components=1"]);
    const { dependencies } = JSON.parse(await readFile(join(core, "package.json"), "utf8")) as { dependencies: object };
    for (const name of new Set([...Object.keys(dependencies), ...BESIDE])) {
      await mkdir(dirname(join(modules, name)), { recursive: true });
      await symlink(join(root, "node_modules", name), join(modules, name)).catch(() => {});
    }
    await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    await writeFile(join(folder, "consumer.ts"), CONSUMER);
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("has types for every entry point, strictly checked as a consumer does", async () => {
    const compilerOptions = {
      module: "nodenext",
      target: "es2025",
      lib: ["es2025", "esnext.disposable"],
      types: ["node"],
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    };
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
    const failed = await run(process.execPath, [TSC, "-p", folder]).catch((error: { stdout: string }) => error);
    const faults = failed.stdout.split("\n").filter((line) => line !== "");
    expect(faults).toEqual([]);
  });

  it("can be imported at every entry point, and at no other", async () => {
    const code = `for (const name of ${JSON.stringify(all.map(({ specifier }) => specifier))}) await import(name);
      await import("@wkfs/core/dist/src/index.js").catch(({ code }) => console.log(code));`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", code], { cwd: folder });
    expect(stdout).toBe("ERR_PACKAGE_PATH_NOT_EXPORTED\n");
  });
});
