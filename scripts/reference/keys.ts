/** The keys of the configuration files, as their schemas describe them: for docs/configuration.md and for the man pages. */
import { type Json, clientJsonSchema, serverJsonSchema } from "@wkfs/core/config";
import type { PluginKind } from "@wkfs/core";
import { bundledNames, importBundled } from "../../cli/src/plugins.ts";

export interface Key {
  /** Such as `gateway.tls.cert`. */
  readonly path: string;
  /** What it takes, in Markdown. */
  readonly takes: string;
  /** In Markdown; undefined: none, and `required` says whether it may be left out. */
  readonly preset: string | undefined;
  readonly required: boolean;
  readonly meaning: string;
}

export interface PluginKeys {
  readonly name: string;
  readonly kind: PluginKind;
  readonly keys: readonly Key[];
}

interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly const?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

/** `transport` and the like are described plugin by plugin. */
const SECTIONS = ["transport", "firewall", "store", "notify"];

export function clientKeys(): readonly Key[] {
  return keysOf(clientJsonSchema(), "");
}

export async function serverKeys(): Promise<{
  readonly keys: readonly Key[];
  readonly plugins: readonly PluginKeys[];
}> {
  const plugins = await Promise.all(bundledNames().map(importBundled));
  const schema = serverJsonSchema(plugins) as Schema;
  const entries = SECTIONS.flatMap((section) => {
    const { items, ...own } = schema.properties![section] as Schema & { readonly oneOf?: readonly Schema[] };
    return own.oneOf ?? (items as { readonly oneOf: readonly Schema[] }).oneOf;
  });
  const keys = keysOf(schema as Json, "");
  // It stands in the entry of every notifier.
  const events = keysOf(entries.find(({ properties }) => properties?.["events"])! as Json, "notify[]");
  return {
    keys: keys.flatMap((key) =>
      key.path === "notify" ? [key, ...events.filter(({ path }) => path === "notify[].events")] : [key],
    ),
    plugins: plugins.map(({ name, kind }) => ({
      name,
      kind,
      keys: keysOf(entries.find(({ properties }) => properties?.["use"]?.const === name)! as Json, "").filter(
        // `use` is the name, and `events` is the same for all: it is said once.
        ({ path }) => path !== "use" && path !== "events",
      ),
    })),
  };
}

function keysOf(schema: Json, above: string): readonly Key[] {
  const { properties = {}, required = [], anyOf = [] } = schema as Schema;
  const own = Object.entries(properties).flatMap(([name, value]) => {
    const path = above === "" ? name : `${above}.${name}`;
    const inside = [value, ...(value.anyOf ?? [])].flatMap((one) => [
      ...keysOf(one as Json, path),
      ...(one.items === undefined ? [] : keysOf(one.items as Json, `${path}[]`)),
    ]);
    return [
      {
        path,
        takes: takenBy(value),
        preset: value.default === undefined || isEmpty(value.default) ? undefined : shown(value.default),
        required: required.includes(name),
        meaning: value.description ?? "",
      },
      ...inside,
    ];
  });
  return above === "" ? merged([...own, ...anyOf.flatMap((one) => keysOf(one as Json, ""))]) : own;
}

/** A schema that is one of several: a key of more than one of them is said once, with all that it takes. */
function merged(keys: readonly Key[]): readonly Key[] {
  const known = new Map<string, Key>();
  for (const key of keys) {
    const first = known.get(key.path);
    known.set(key.path, first === undefined ? key : { ...first, takes: joined(first.takes, key.takes) });
  }
  return [...known.values()];
}

const joined = (first: string, other: string) => (first === other ? first : `${first}, ${other}`);

const isEmpty = (value: unknown) =>
  typeof value === "object" && Object.keys(value ?? {}).length === 0 && !Array.isArray(value);

function shown(value: unknown): string {
  if (Array.isArray(value)) return `\`[${value.join(", ")}]\``;
  if (typeof value === "object") {
    return `\`{ ${Object.entries(value!)
      .map(([key, one]) => `${key}: ${String(one)}`)
      .join(", ")} }\``;
  }
  return `\`${String(value)}\``;
}

function takenBy(schema: Schema): string {
  if (schema.enum !== undefined) return schema.enum.map((one) => `\`${one}\``).join(", ");
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(takenBy))].join(" or ");
  switch (schema.type) {
    case "integer":
    case "number":
      return rangeOf(schema);
    case "array":
      return schema.items?.type === "object" || schema.items === undefined || "oneOf" in schema.items
        ? "list"
        : `list of ${takenBy(schema.items).replace(/^number$/, "numbers")}`;
    case "string":
      return "text";
    case "boolean":
      return "`true`, `false`";
    case "object":
      return "section";
    default:
      return Array.isArray(schema.type) ? schema.type.map((type) => takenBy({ type })).join(" or ") : "plugin";
  }
}

function rangeOf({ minimum, maximum, exclusiveMinimum }: Schema): string {
  const grouped = (value: number) => value.toLocaleString("en-US");
  // What a schema of whole numbers says without being asked.
  const most = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (most !== undefined && minimum !== undefined) return `${grouped(minimum)} to ${grouped(most)}`;
  if (most !== undefined && exclusiveMinimum !== undefined) return `more than ${exclusiveMinimum}, to ${grouped(most)}`;
  return "number";
}
