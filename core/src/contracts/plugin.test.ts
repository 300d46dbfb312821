import { describe, expect, expectTypeOf, it } from "vitest";
import { z } from "zod";
import { MemoryFirewall } from "../../testing/memory-firewall.ts";
import { MemoryStore } from "../../testing/memory-store.ts";
import { MemoryLink } from "../../testing/memory-transport.ts";
import { RecordingNotifier } from "../../testing/recording-notifier.ts";
import { FakeClock } from "../../testing/fake-clock.ts";
import type { Firewall } from "./firewall.ts";
import type { Notifier } from "./notifier.ts";
import { API_VERSION, type AnyPlugin, type PluginContext, definePlugin } from "./plugin.ts";
import type { Store } from "./store.ts";
import type { Transport } from "./transport.ts";

const empty = z.strictObject({});
const clock = new FakeClock();

// Types are checked by `npm run types`: there a wrong one is an error, and so is a @ts-expect-error above what is right.
describe("definePlugin", () => {
  it("gives create what the schema makes of the configuration: defaults, transformations, alternatives", () => {
    const configSchema = z.strictObject({
      url: z.url(),
      port: z.number().default(443),
      every: z.string().transform(Number),
      to: z.array(z.strictObject({ name: z.string(), away: z.boolean().optional() })),
      auth: z.discriminatedUnion("kind", [
        z.strictObject({ kind: z.literal("token"), tokenFile: z.string() }),
        z.strictObject({ kind: z.literal("none") }),
      ]),
    });
    definePlugin({
      name: "inferred",
      apiVersion: API_VERSION,
      kind: "notifier",
      configSchema,
      create(config, context) {
        expectTypeOf(config).toEqualTypeOf<{
          url: string;
          port: number;
          every: number;
          to: { name: string; away?: boolean | undefined }[];
          auth: { kind: "token"; tokenFile: string } | { kind: "none" };
        }>();
        expectTypeOf(context).toEqualTypeOf<PluginContext>();
        // @ts-expect-error a key that the schema does not have
        void config.urls;
        return new RecordingNotifier();
      },
    });
  });

  it("has create make what the kind says, at once or later", () => {
    const common = { apiVersion: API_VERSION, configSchema: empty };
    const firewall = definePlugin({
      ...common,
      name: "f",
      kind: "firewall",
      create: () => new MemoryFirewall({ clock }),
    });
    const notifier = definePlugin({
      ...common,
      name: "n",
      kind: "notifier",
      create: async () => new RecordingNotifier(),
    });
    const transport = definePlugin({
      ...common,
      name: "t",
      kind: "transport",
      create: () => new MemoryLink().transport(),
    });
    const store = definePlugin({ ...common, name: "s", kind: "store", create: async () => new MemoryStore() });
    expectTypeOf<Awaited<ReturnType<typeof firewall.create>>>().toEqualTypeOf<Firewall>();
    expectTypeOf<Awaited<ReturnType<typeof notifier.create>>>().toEqualTypeOf<Notifier>();
    expectTypeOf<Awaited<ReturnType<typeof transport.create>>>().toEqualTypeOf<Transport>();
    expectTypeOf<Awaited<ReturnType<typeof store.create>>>().toEqualTypeOf<Store>();
    // Every one of them is what core takes.
    const all: readonly AnyPlugin[] = [firewall, notifier, transport, store];
    expect(all.map(({ kind }) => kind)).toEqual(["firewall", "notifier", "transport", "store"]);
  });

  it("takes no kind that there is not, and no implementation of another kind", () => {
    const common = { name: "x", apiVersion: API_VERSION, configSchema: empty };
    // @ts-expect-error there is no such kind
    definePlugin({ ...common, kind: "cloud", create: () => new MemoryStore() });
    // @ts-expect-error a store is no firewall
    definePlugin({ ...common, kind: "firewall", create: () => new MemoryStore() });
    // @ts-expect-error a notifier closes too
    definePlugin({ ...common, kind: "notifier", create: () => ({ notify: async () => {} }) });
    // @ts-expect-error a schema is needed
    definePlugin({ name: "x", apiVersion: API_VERSION, kind: "store", create: () => new MemoryStore() });
  });

  it("adds nothing", () => {
    const plugin = {
      name: "x",
      apiVersion: API_VERSION,
      kind: "store",
      configSchema: empty,
      create: () => new MemoryStore(),
    } as const;
    expect(definePlugin(plugin)).toBe(plugin);
  });
});
