import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type AnyPlugin, type WkfsEvent, definePlugin } from "@wkfs/core";
import { checkServerConfig } from "@wkfs/core/config";
import { type Daemon, Services, createDaemon } from "@wkfs/core/daemon";
import type { Gateway } from "@wkfs/core/gateway";
import { FakeClock, MemoryFirewall, MemoryLink, MemoryStore, recordingLogger, testContext } from "@wkfs/core/testing";
import { ContainerModule } from "inversify";
import { afterAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { admit } from "../cli/src/plugin-install/admission.ts";
import { freshKeys, keyFile } from "./support/gateway.ts";
import { blocks, ofLanguage, root, textOf } from "./support/pages.ts";

// The examples of PLUGINS.md, beside this file so that their imports resolve as those of a plugin do.
const folder = await mkdtemp(fileURLToPath(new URL(".tmp-docs-", import.meta.url)));
afterAll(() => rm(folder, { recursive: true, force: true }));
const examples = ofLanguage("ts").map(({ text }) => ({ file: /^\/\/ ([\w-]+\.ts)\n/.exec(text)![1]!, text }));
for (const { file, text } of examples) await writeFile(join(folder, file), text);
// Also for the compiler of the tests: decorators are none of Node's.
const settings = { extends: "../../tsconfig.json", include: ["*.ts"], exclude: [] };
await writeFile(join(folder, "tsconfig.json"), JSON.stringify(settings));
const example = async (name: string) => (await import(join(folder, name))) as Record<string, unknown>;

describe("the plugins of PLUGINS.md", () => {
  it.each([
    ["notifier", "json-post"],
    ["firewall", "list-file"],
    ["store", "json-file"],
    ["transport", "plain-socket"],
  ])("are what `wkfs plugins create --kind %s` writes: %s", (kind, name) => {
    const template = readFileSync(join(root, "cli/templates", kind, "index.ts"), "utf8");
    const { text } = examples.find(({ file }) => file === `${name}.ts`)!;
    expect(template.replace('name: "example"', `name: "${name}"`)).toBe(text.replace(/^.*\n/, ""));
  });

  it("compile", async () => {
    const tsc = fileURLToPath(new URL("../node_modules/typescript/bin/tsc", import.meta.url));
    const run = () => execFileSync(process.execPath, [tsc, "--noEmit", "-p", folder], { encoding: "utf8" });
    expect(run).not.toThrow();
  });

  it("the notifier has twenty lines or so, and tells of a knock", async () => {
    expect(examples.find(({ file }) => file === "json-post.ts")!.text.split("\n").length).toBeLessThan(28);
    const received = Promise.withResolvers<string>();
    const hook = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        received.resolve(body);
        response.end();
      });
    });
    hook.listen(0, "127.0.0.1");
    await once(hook, "listening");
    const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/`;
    const link = new MemoryLink();
    const plugins = [(await example("json-post.ts"))["default"] as AnyPlugin, ...inMemory(link)];
    const config = await checkServerConfig({ ...sections, notify: [{ use: "json-post", url }] });
    try {
      await using daemon = await createDaemon({ config, plugins });
      await daemon.start();
      await knock(link);
      expect(JSON.parse(await received.promise)).toMatchObject({ events: [{ type: "opened" }] });
    } finally {
      hook.close();
    }
  });

  it("the notifier tells failures that may pass from those that will not", async () => {
    const { default: jsonPost } = (await example("json-post.ts")) as { default: AnyPlugin };
    let status = 404;
    const hook = createServer((_request, response) => void response.writeHead(status).end());
    hook.listen(0, "127.0.0.1");
    await once(hook, "listening");
    const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/`;
    const notifier = (await jsonPost.create({ url } as never, testContext())) as {
      notify(notification: object, signal: AbortSignal): Promise<void>;
    };
    const notify = () => notifier.notify({ id: "1", host: "h", events: [] }, AbortSignal.timeout(5000));
    try {
      await expect(notify()).rejects.toMatchObject({ code: "NOTIFY_REJECTED" });
      status = 503;
      await expect(notify()).rejects.toMatchObject({ code: "NOTIFY_FAILED" });
    } finally {
      hook.closeAllConnections();
      await new Promise((resolve) => hook.close(resolve));
    }
    await expect(notify()).rejects.toMatchObject({ code: "NOTIFY_FAILED" });
  });

  it("store, firewall and transport make a daemon, embedded as the page shows", async () => {
    const place = await mkdtemp(join(tmpdir(), "wkfs-docs-"));
    try {
      await writeFile(join(place, "secret"), "the secret of both\n", { mode: 0o600 });
      const { embeddedDaemon } = (await example("embed.ts")) as {
        embeddedDaemon(config: object, tell: (event: WkfsEvent) => void): Promise<Daemon>;
      };
      const told = Promise.withResolvers<WkfsEvent>();
      const path = join(place, "socket");
      const config = {
        protect: { tcp: [22] },
        firewall: [{ use: "list-file", path: join(place, "leases") }],
        store: { use: "json-file", path: join(place, "store.json") },
        transport: { use: "plain-socket", path, secret: join(place, "secret") },
      };
      const { default: transport } = (await example("plain-socket.ts")) as { default: AnyPlugin };
      const caller = (await transport.create({ path, secret: join(place, "secret") } as never, testContext())) as {
        call(request: object, signal: AbortSignal): Promise<string>;
      };
      await using daemon = await embeddedDaemon(config, told.resolve);
      await daemon.start();
      const request = { ip: "192.0.2.7", ports: [{ proto: "TCP", num: 22 }], time: 60 };
      expect(JSON.parse(await caller.call(request, AbortSignal.timeout(5000)))).toMatchObject({ success: true });
      expect(readFileSync(join(place, "leases"), "utf8")).toBe("192.0.2.7 tcp/22\n");
      expect(await told.promise).toMatchObject({ type: "opened" });
    } finally {
      await rm(place, { recursive: true });
    }
  });

  it("an error of a plugin's configuration reads as the page says", async () => {
    const plugins = [(await example("json-post.ts"))["default"] as AnyPlugin, ...inMemory(new MemoryLink())];
    const config = await checkServerConfig(
      { ...sections, notify: [{ use: "json-post", url: "https://hooks.example.org/wkfs", urls: [] }] },
      { locate: () => "/etc/wkfs/wkfs.yaml:14" },
    );
    const shown = blocks.find(({ page, language }) => page === "PLUGINS.md" && language === "text")!.text.trim();
    await expect(createDaemon({ config, plugins })).rejects.toMatchObject({ code: "CONFIG_INVALID", message: shown });
  });

  it("the package has what the installer asks for", () => {
    const description = JSON.parse(ofLanguage("json").find(({ page }) => page === "PLUGINS.md")!.text) as object;
    expect(admit(description, "PLUGINS.md")).toMatchObject({ use: "json-post", kind: "notifier" });
  });
});

describe("the code of docs/embedding.md", () => {
  const serverOf = (more: object = {}) => checkServerConfig({ ...sections, ...more });

  it("runs a daemon until its signal aborts, and hears of openings", async () => {
    const { daemonUntil } = await example("daemon-for-a-while.ts");
    const link = new MemoryLink();
    const log = recordingLogger();
    const end = new AbortController();
    const ran = (daemonUntil as (...all: unknown[]) => Promise<void>)(
      end.signal,
      await serverOf(),
      inMemory(link),
      log,
    );
    await vi.waitFor(() => expect(log.lines.map(({ message }) => message)).toContain("leases of a former run"));
    await knock(link);
    end.abort();
    await ran;
    const said = log.lines.filter(({ message }) => message === "somebody came" || message === "the daemon");
    const steps = ["starting", "running", "stopping", "stopped"].map((status) => ({ status }));
    expect(said.map(({ data }) => data)).toEqual([...steps.slice(0, 2), { leases: 1 }, ...steps.slice(2)]);
  });

  it("waits for the next opening", async () => {
    const { nextOpening } = await example("first-opening.ts");
    const link = new MemoryLink();
    await using daemon = await createDaemon({ config: await serverOf(), plugins: inMemory(link) });
    await daemon.start();
    const opened = (nextOpening as (...all: unknown[]) => Promise<unknown>)(daemon, AbortSignal.timeout(5000));
    await knock(link);
    expect(await opened).toMatchObject([{ address: { text: "192.0.2.7" } }]);
  });

  it("mounts a gateway, and keeps ports open while work is done", async () => {
    const place = await mkdtemp(join(tmpdir(), "wkfs-docs-"));
    const path = "/8f3c0c5e";
    const link = new MemoryLink();
    await writeFile(join(place, "v1.json"), keyFile(freshKeys()), { mode: 0o600 });
    const config = await serverOf({ gateway: { path, keys: join(place, "v1.json") } });
    const plugins = inMemory(link);
    const { knockServer } = (await example("knock-server.ts")) as {
      knockServer(config: object, options: object): Promise<{ gateway: Gateway; server: Server }>;
    };
    const { gateway, server } = await knockServer(config, { plugins });
    try {
      await using daemon = await createDaemon({ config, plugins });
      await daemon.start();
      await once(server.listen(0, "127.0.0.1"), "listening");
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      expect(await (await fetch(url)).text()).toBe("everything else");
      await writeFile(join(place, "client.yaml"), JSON.stringify({ url: url + path, keys: "v1.json" }));
      const { withOpenPorts } = (await example("with-open-ports.ts")) as {
        withOpenPorts<Result>(file: string, work: () => Promise<Result>): Promise<Result>;
      };
      expect(await withOpenPorts(join(place, "client.yaml"), async () => daemon.leases.size)).toBe(1);
    } finally {
      server.closeAllConnections();
      server.close();
      await gateway.stop();
      await rm(place, { recursive: true });
    }
  });

  it.each([
    [3, { success: false, errorcode: "not_allowed" }],
    [12, { success: true }],
  ])("decides at %i o'clock by a policy of its own", async (hour, answer) => {
    const { officeHours } = (await example("office-hours.ts")) as { officeHours: ContainerModule };
    const link = new MemoryLink();
    const clock = new FakeClock(Date.UTC(2026, 0, 1, hour));
    const time = new ContainerModule(({ bind }) => {
      bind(Services.Clock).toConstantValue(clock);
    });
    const modules = [time, officeHours];
    await using daemon = await createDaemon({ config: await serverOf(), plugins: inMemory(link, clock), modules });
    await daemon.start();
    expect(JSON.parse(await knock(link))).toMatchObject(answer);
  });

  it("names every service", () => {
    const named = textOf("docs/embedding.md");
    expect(Object.keys(Services).filter((id) => !named.includes(`| \`Services.${id}\` |`))).toEqual([]);
  });
});

// Registers the tests of the published suites for the examples.
await example("suites.ts");
// And the one on a kernel of its own, where there can be one.
await example("kernel.ts");

const sections = { protect: { tcp: [22] }, firewall: [{ use: "fw" }], store: { use: "st" }, transport: { use: "tr" } };

function inMemory(link: MemoryLink, clock = new FakeClock()): AnyPlugin[] {
  const common = { apiVersion: 1, configSchema: z.strictObject({}) };
  return [
    definePlugin({ ...common, name: "fw", kind: "firewall", create: () => new MemoryFirewall({ clock }) }),
    definePlugin({ ...common, name: "st", kind: "store", create: () => new MemoryStore() }),
    definePlugin({ ...common, name: "tr", kind: "transport", create: () => link.transport() }),
  ];
}

async function knock(link: MemoryLink): Promise<string> {
  const request = { ip: "192.0.2.7", ports: [{ proto: "TCP", num: 22 }], time: 60 };
  return await link.transport().call(request, AbortSignal.timeout(5000));
}
