import { z } from "zod";
import type { AnyPlugin, PluginKind } from "../contracts/plugin.ts";
import { serverSchema } from "./schema.ts";

/** A JSON Schema, or a part of one. */
export type Json = Readonly<Record<string, unknown>>;

/**
 * The JSON Schema (draft 2020-12) of a server's configuration file, with what stands beside `use:` for each of these plugins.
 * For editors: a file that it takes may still be refused, since ports, networks and files are looked at when it is read.
 */
export function serverJsonSchema(plugins: readonly AnyPlugin[]): Json {
  const { properties, ...rest } = z.toJSONSchema(serverSchema, { io: "input", unrepresentable: "any" }) as {
    readonly properties: Readonly<Record<string, Json>>;
  };
  const entries = (kind: PluginKind, own: Json = {}) => ({
    oneOf: plugins.filter((plugin) => plugin.kind === kind).map((plugin) => entryOf(plugin, own)),
  });
  const { events } = (properties["notify"]!["items"] as { readonly properties: { readonly events: Json } }).properties;
  return {
    ...rest,
    title: "Configuration of a wkfs server",
    properties: {
      ...properties,
      transport: entries("transport"),
      store: entries("store"),
      firewall: { ...properties["firewall"], items: entries("firewall") },
      notify: { ...properties["notify"], items: entries("notifier", { events }) },
    },
  };
}

/** One entry: `use`, what core reads beside it, and what the plugin's schema says of itself, where it says anything. */
function entryOf({ name, configSchema }: AnyPlugin, own: Json): Json {
  const said = configSchema["~standard"].jsonSchema?.input({ target: "draft-2020-12" }) ?? {};
  const { $schema: _, properties = {}, required = [], ...rest } = said;
  return {
    type: "object",
    ...rest,
    properties: { use: { const: name }, ...own, ...(properties as object) },
    required: ["use", ...(required as readonly string[])],
  };
}
