import { z } from "zod";
import type { AnyPlugin, PluginKind } from "../contracts/plugin.ts";
import { WkfsError, messageOf } from "../model/errors.ts";
import { CLIENT_KEYS, SERVER_KEYS } from "./descriptions.ts";
import { clientSchema, serverSchema } from "./schema.ts";

/** A JSON Schema, or a part of one. */
export type Json = Readonly<Record<string, unknown>>;

/**
 * The JSON Schema (draft 2020-12) of a server's configuration file, with what stands beside `use:` for each of these plugins.
 * For editors: a file that it takes may still be refused, since ports, networks and files are looked at when it is read. Throws
 * `PLUGIN_INVALID` when a plugin's schema cannot say what it takes.
 */
export function serverJsonSchema(plugins: readonly AnyPlugin[]): Json {
  const { properties, ...rest } = described(serverSchema, SERVER_KEYS);
  const entries = (kind: PluginKind, own: Json = {}) => ({
    oneOf: plugins.filter((plugin) => plugin.kind === kind).map((plugin) => entryOf(plugin, own)),
  });
  const { description: transport } = properties["transport"]!;
  const { description: store } = properties["store"]!;
  const { events } = (properties["notify"]!["items"] as { readonly properties: { readonly events: Json } }).properties;
  return {
    ...rest,
    title: "Configuration of a wkfs server",
    properties: {
      ...properties,
      transport: { description: transport, ...entries("transport") },
      store: { description: store, ...entries("store") },
      firewall: { ...properties["firewall"], items: entries("firewall") },
      notify: { ...properties["notify"], items: entries("notifier", { events }) },
    },
  };
}

/** The JSON Schema of a client's configuration file. */
export function clientJsonSchema(): Json {
  return { ...described(clientSchema, CLIENT_KEYS), title: "Configuration of a wkfs client" };
}

/** A schema whose properties say what they mean. */
function described(
  schema: z.ZodType,
  keys: Readonly<Record<string, string>>,
): Json & { readonly properties: Readonly<Record<string, Json>> } {
  const whole = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Json;
  return walked(whole, keys, "") as ReturnType<typeof described>;
}

function walked(schema: Json, keys: Readonly<Record<string, string>>, path: string): Json {
  const { properties, items, anyOf, ...rest } = schema as {
    readonly properties?: Readonly<Record<string, Json>>;
    readonly items?: Json;
    readonly anyOf?: readonly Json[];
  };
  const property = ([key, value]: [string, Json]) => {
    const own = path === "" ? key : `${path}.${key}`;
    return [key, { description: keys[own], ...walked(value, keys, own) }];
  };
  return {
    ...rest,
    ...(anyOf && { anyOf: anyOf.map((one) => walked(one, keys, path)) }),
    ...(items && { items: walked(items, keys, `${path}[]`) }),
    ...(properties && { properties: Object.fromEntries(Object.entries(properties).map(property)) }),
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
