import { execFileSync } from "node:child_process";
import { API_VERSION, type AnyPlugin, type Notification, type Notifier, definePlugin } from "@wkfs/core";
import { checkServerConfig, serverJsonSchema } from "@wkfs/core/config";
import { Services, createDaemon } from "@wkfs/core/daemon";
import { createGateway } from "@wkfs/core/gateway";
import { FakeClock, MemoryFirewall, MemoryLink, MemoryStore, settle } from "@wkfs/core/testing";
import { ContainerModule, inject, injectable } from "inversify";
import { describe, expect, it, vi } from "vitest";
import { z } from "zod";

const clock = new FakeClock();
const link = new MemoryLink();

/** The four kinds, as plugins of a program that embeds core. */
const plugins: AnyPlugin[] = [
  definePlugin({
    name: "fw",
    apiVersion: API_VERSION,
    kind: "firewall",
    configSchema: z.strictObject({ chain: z.string().optional() }),
    create: () => new MemoryFirewall({ clock }),
  }),
  definePlugin({
    name: "st",
    apiVersion: API_VERSION,
    kind: "store",
    configSchema: z.strictObject({}),
    create: () => new MemoryStore(),
  }),
  definePlugin({
    name: "tr",
    apiVersion: API_VERSION,
    kind: "transport",
    configSchema: z.strictObject({}),
    create: () => link.transport(),
  }),
];
const sections = { protect: { tcp: [22] }, firewall: [{ use: "fw" }], store: { use: "st" }, transport: { use: "tr" } };
const configOf = (more: object = {}) => checkServerConfig({ ...sections, ...more });

const told: Notification[] = [];
@injectable()
class Messenger implements Notifier {
  readonly #addressee: string;
  constructor(@inject("addressee") addressee: string) {
    this.#addressee = addressee;
  }
  async notify(notification: Notification): Promise<void> {
    told.push({ ...notification, host: this.#addressee });
  }
  async close(): Promise<void> {}
}

describe("an embedder", () => {
  it("replaces a service with a decorated class of its own, by binding its id again", async () => {
    const module = new ContainerModule(({ bind }) => {
      bind("addressee").toConstantValue("the operators");
      bind(Messenger).toSelf();
      bind(Services.Notifiers).toResolvedValue((plugin: Messenger) => [{ name: "messenger", plugin }], [Messenger]);
    });
    await using daemon = await createDaemon({ config: await configOf(), plugins, modules: [module] });
    await daemon.start();
    await link
      .transport()
      .call({ ip: "10.0.0.2", ports: [{ proto: "TCP", num: 22 }], time: 5 }, new AbortController().signal);
    await settle();
    expect(told).toMatchObject([{ host: "the operators", events: [{ type: "opened" }] }]);
  });

  it("makes daemons that know nothing of each other", async () => {
    const one = await createDaemon({ config: await configOf(), plugins });
    const two = await createDaemon({ config: await configOf(), plugins });
    expect(one).not.toBe(two);
    expect(one.leases).not.toBe(two.leases);
    await Promise.all([one.stop(), two.stop()]);
    await expect(one.start()).rejects.toMatchObject({ code: "STATE_INVALID" });
  });
});

describe("plugins are checked before any of their code runs", () => {
  const untouchable = {
    name: "fw",
    apiVersion: API_VERSION,
    kind: "firewall",
    configSchema: z.strictObject({}),
    create: () => expect.unreachable(),
  } as const;

  it.each<[string, unknown[]]>([
    ["of another API version", [{ ...untouchable, apiVersion: 99 }]],
    ["of an unknown kind", [{ ...untouchable, kind: "cloud" }]],
    ["twice", [untouchable, untouchable]],
    ["without create", [{ ...untouchable, create: undefined }]],
    ["without a schema", [{ ...untouchable, configSchema: undefined }]],
    ["that are none", [{}]],
    ["with a name that is none", [{ ...untouchable, name: "../x" }]],
  ])("%s are refused", async (_, given) => {
    const failure = createDaemon({ config: await configOf(), plugins: given as AnyPlugin[] });
    await expect(failure).rejects.toMatchObject({ code: "PLUGIN_INVALID", hint: expect.any(String) });
  });

  it.each<[string, object, string, RegExp]>([
    ["an unknown plugin", { store: { use: "redis" } }, "PLUGIN_INVALID", /config\.store: there is no plugin "redis"/],
    ["one of another kind", { store: { use: "fw" } }, "PLUGIN_INVALID", /"fw" is a firewall, and a store belongs here/],
    [
      "an unknown key of a plugin",
      { firewall: [{ use: "fw", chian: "x" }] },
      "CONFIG_INVALID",
      /plugin fw: unknown key "firewall\.0\.chian"; did you mean "chain"\?/,
    ],
    ["no firewall", { firewall: undefined }, "CONFIG_INVALID", /no section "firewall"/],
    ["no store", { store: undefined }, "CONFIG_INVALID", /no section "store"/],
    ["no transport", { transport: undefined }, "CONFIG_INVALID", /no section "transport"/],
  ])("%s stops the making", async (_, more, code, text) => {
    const failure = createDaemon({ config: await configOf(more), plugins });
    await expect(failure).rejects.toMatchObject({ code });
    await expect(failure).rejects.toThrow(text);
  });

  it("a gateway without its section is refused", async () => {
    await expect(createGateway({ config: await configOf(), plugins })).rejects.toThrow(/no section "gateway"/);
  });

  it("a plugin whose create fails stops the making", async () => {
    const failing = definePlugin({
      name: "slow",
      apiVersion: API_VERSION,
      kind: "store",
      configSchema: z.strictObject({}),
      create: () => Promise.reject(new Error("no")),
    });
    const failure = createDaemon({
      config: await configOf({ store: { use: "slow" } }),
      plugins: [...plugins, failing],
    });
    await expect(failure).rejects.toMatchObject({
      code: "PLUGIN_INVALID",
      message: "config.store: plugin slow: create failed: no",
    });
  });

  it.each<[string, () => unknown, RegExp]>([
    ["nothing", () => undefined, /plugin odd: create gave no store: it lacks open, leases, write, history, pending/],
    ["another kind", () => new MemoryFirewall({ clock }), /it lacks open, leases, write/],
    ["less than a store", () => Object.assign(new MemoryStore(), { pending: undefined }), /it lacks pending$/],
    [
      "members that throw",
      () => Object.defineProperty({}, "open", { get: () => expect.unreachable("read") }),
      /plugin odd: create failed: .*"read"/,
    ],
    ["an error before there is a promise", () => expect.unreachable("thrown at once"), /plugin odd: create failed: /],
  ])("a plugin that makes %s is named, with what it lacks", async (_, create, text) => {
    const odd = { name: "odd", apiVersion: API_VERSION, kind: "store", configSchema: z.strictObject({}), create };
    const config = await configOf({ store: { use: "odd" } });
    const failure = createDaemon({ config, plugins: [...plugins, odd as AnyPlugin] });
    await expect(failure).rejects.toMatchObject({ code: "PLUGIN_INVALID", hint: expect.any(String) });
    await expect(failure).rejects.toThrow(text);
  });
});

describe("a configSchema that is not what it should be", () => {
  const schemaOf = (more: object) => ({ "~standard": { version: 1, vendor: "test", ...more } });
  const notifierWith = (more: object) =>
    ({
      name: "odd",
      apiVersion: API_VERSION,
      kind: "notifier",
      configSchema: schemaOf(more),
      create: () => expect.unreachable("create"),
    }) as unknown as AnyPlugin;
  const FAULT = /^config\.notify\.0: plugin odd: configSchema failed: /;

  it.each<[string, () => unknown]>([
    ["throws", () => expect.unreachable("oh")],
    ["gives nothing", () => undefined],
    ["gives a number", () => 7],
    ["gives neither a value nor issues", () => ({})],
    ["gives issues that are none", () => ({ issues: "no" })],
    ["gives no issue at all", () => ({ issues: [] })],
  ])("is named, and create is not called: it %s", async (_, validate) => {
    const config = await configOf({ notify: [{ use: "odd" }] });
    const failure = createDaemon({ config, plugins: [...plugins, notifierWith({ validate })] });
    await expect(failure).rejects.toMatchObject({ code: "PLUGIN_INVALID", hint: expect.any(String) });
    await expect(failure).rejects.toThrow(FAULT);
  });

  it("is given up after 30 s, and named", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const config = await configOf({ notify: [{ use: "odd" }] });
      const asked = Promise.withResolvers<void>();
      const validate = () => (asked.resolve(), new Promise(() => {}));
      const failure = createDaemon({ config, plugins: [...plugins, notifierWith({ validate })] });
      failure.catch(() => {});
      await asked.promise;
      await vi.advanceTimersByTimeAsync(30_000);
      await expect(failure).rejects.toMatchObject({ code: "PLUGIN_TIMEOUT" });
      await expect(failure).rejects.toThrow(/plugin odd: configSchema took longer than 30 s/);
    } finally {
      vi.useRealTimers();
    }
  });

  const circle: Record<string, unknown> = {};
  circle["of"] = circle;
  it.each<[string, () => unknown]>([
    ["throws", () => expect.unreachable("oh")],
    ["is a circle", () => circle],
  ])("is named when its JSON Schema %s", (_, input) => {
    const failure = expect.objectContaining({
      code: "PLUGIN_INVALID",
      message: expect.stringMatching(/^plugin odd: /) as unknown,
    });
    expect(() => serverJsonSchema([notifierWith({ jsonSchema: { input } })])).toThrow(failure);
  });
});

describe("a call that takes too long", () => {
  const never = () => new Promise<never>(() => {});
  const kinds = {
    store: () => new MemoryStore(),
    firewall: () => new MemoryFirewall({ clock }),
    transport: () => new MemoryLink().transport(),
  };

  it.each<[keyof typeof kinds, string, number]>([
    ["store", "open", 30],
    ["store", "leases", 30],
    ["store", "write", 10],
    ["firewall", "attach", 60],
    ["firewall", "list", 60],
    ["transport", "listen", 30],
  ])("to a %s, %s, is given up, and the error names the plugin", async (kind, method, seconds) => {
    const message = `${kind} odd: ${method} took longer than ${seconds} s`;
    const asked = Promise.withResolvers<void>();
    const hanging = () => (asked.resolve(), never());
    const create = () => Object.assign(kinds[kind](), { [method]: hanging });
    const odd = { name: "odd", apiVersion: API_VERSION, kind, configSchema: z.strictObject({}), create };
    const section = kind === "firewall" ? { firewall: [{ use: "odd" }] } : { [kind]: { use: "odd" } };
    const daemon = await createDaemon({
      config: await configOf(section),
      plugins: [...plugins, odd as unknown as AnyPlugin],
    });
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const failure = daemon.start().catch((error: unknown) => error);
      // A start reads files first, which takes no time of these.
      await asked.promise;
      await vi.advanceTimersByTimeAsync(seconds * 1000 - 1);
      expect(daemon.status).toBe("starting");
      // Far beyond it: the error says the limit, and with another one this must fail rather than hang.
      await vi.advanceTimersByTimeAsync(600_000);
      expect(await failure).toMatchObject({ code: "PLUGIN_TIMEOUT", message });
    } finally {
      vi.useRealTimers();
    }
  });

  it("of create too", async () => {
    const slow = { ...plugins[1]!, name: "slow", create: never } as unknown as AnyPlugin;
    const config = await configOf({ store: { use: "slow" } });
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const message = "config.store: plugin slow: create took longer than 30 s";
      const failure = createDaemon({ config, plugins: [...plugins, slow] }).catch((error: unknown) => error);
      await settle();
      await vi.advanceTimersByTimeAsync(30_000);
      expect(await failure).toMatchObject({ code: "PLUGIN_TIMEOUT", message });
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("each process loads what it runs", () => {
  const loaded = (entry: string) => {
    const code = `import { registerHooks } from "node:module"; const seen = new Set();
      registerHooks({ load(url, context, next) { const name = /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1]; if (name) seen.add(name); return next(url, context); } });
      await import(${JSON.stringify(entry)}); console.log(JSON.stringify([...seen]));`;
    return JSON.parse(
      execFileSync(process.execPath, ["--input-type=module", "-e", code], {
        encoding: "utf8",
        cwd: new URL(".", import.meta.url),
      }),
    ) as string[];
  };

  it("the daemon no restify, the gateway only to listen, the client neither restify nor inversify", () => {
    expect(loaded("@wkfs/core/gateway")).toContain("inversify");
    expect(loaded("@wkfs/core/gateway")).not.toContain("restify");
    expect(loaded("@wkfs/core/daemon")).toContain("inversify");
    expect(loaded("@wkfs/core/daemon")).not.toContain("restify");
    expect(loaded("@wkfs/core/client")).not.toContain("inversify");
    expect(loaded("@wkfs/core/client")).not.toContain("restify");
    expect(loaded("@wkfs/core")).toEqual(["ipaddr.js"]);
  });
});
