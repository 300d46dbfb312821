import { z } from "zod";
import type { AnyPlugin, PluginKind } from "../contracts/plugin.ts";
import { WkfsError, messageOf } from "../model/errors.ts";
import { serverSchema } from "./schema.ts";

/** A JSON Schema, or a part of one. */
export type Json = Readonly<Record<string, unknown>>;

/**
 * The JSON Schema (draft 2020-12) of a server's configuration file, with what stands beside `use:` for each of these plugins.
 * For editors: a file that it takes may still be refused, since ports, networks and files are looked at when it is read. Throws
 * `PLUGIN_INVALID` when a plugin's schema cannot say what it takes.
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
  const said = saidBy(name, configSchema);
  const { $schema: _, properties = {}, required = [], ...rest } = said;
  return {
    type: "object",
    ...rest,
    properties: { use: { const: name }, ...own, ...(properties as object) },
    required: ["use", ...(required as readonly string[])],
  };
}

function saidBy(name: string, schema: AnyPlugin["configSchema"]): Json {
  try {
    const said = schema["~standard"].jsonSchema?.input({ target: "draft-2020-12" }) ?? {};
    // What cannot be written, such as a circle, is found here, where it has a name.
    return JSON.parse(JSON.stringify(said)) as Json;
  } catch (error) {
    throw new WkfsError("PLUGIN_INVALID", `plugin ${name}: its configSchema has no JSON Schema: ${messageOf(error)}`, {
      hint: "This is a fault of the plugin: report it to its author.",
      cause: error,
    });
  }
}
