import { isAbsolute, resolve } from "node:path";
import { type ConfigPath, type ConfigSource, type PluginUse, checkConfig, readSecret } from "../config/index.ts";
import {
  API_VERSION,
  type AnyPlugin,
  type Clock,
  type Logger,
  type PluginContext,
  type PluginKind,
  type PluginKinds,
} from "../contracts/plugin.ts";
import { withTimeLimit } from "../lifecycle/time-limit.ts";
import { WkfsError } from "../model/errors.ts";
import type { ProtectedPorts } from "../model/port.ts";

/** What an implementation of each kind must have. */
const MEMBERS: { readonly [Kind in PluginKind]: readonly (keyof PluginKinds[Kind])[] } = {
  firewall: ["capabilities", "attach", "apply", "check", "list", "release", "detach"],
  notifier: ["notify", "close"],
  transport: ["addresses", "listen", "call", "close"],
  store: ["open", "leases", "write", "history", "pending", "close"],
};
const KINDS = Object.keys(MEMBERS) as readonly PluginKind[];
/** The members that are no methods. */
const DATA: readonly string[] = ["capabilities", "addresses"];

/** The plugins that a role was given, checked before any of their code runs. Throws `PLUGIN_INVALID`. */
export class PluginRegistry {
  readonly #plugins = new Map<string, AnyPlugin>();

  constructor(plugins: readonly AnyPlugin[]) {
    for (const plugin of plugins) {
      const fault = faultOf(plugin);
      if (fault !== undefined)
        throw new WkfsError("PLUGIN_INVALID", fault, { hint: "Install a version of it that fits this wkfs." });
      if (this.#plugins.has(plugin.name)) {
        throw new WkfsError("PLUGIN_INVALID", `two plugins have the name "${plugin.name}"`, {
          hint: "Uninstall one of them.",
        });
      }
      this.#plugins.set(plugin.name, plugin);
    }
  }

  find<Kind extends PluginKind>(kind: Kind, use: string, where: string): AnyPlugin & { readonly kind: Kind } {
    const plugin = this.#plugins.get(use);
    if (plugin === undefined) {
      throw new WkfsError("PLUGIN_INVALID", `${where}: there is no plugin "${use}"`, {
        hint: `Install it with: wkfs plugins install ${use}`,
      });
    }
    if (plugin.kind !== kind) {
      const known = [...this.#plugins.values()].filter((other) => other.kind === kind).map(({ name }) => name);
      throw new WkfsError("PLUGIN_INVALID", `${where}: "${use}" is a ${plugin.kind}, and a ${kind} belongs here`, {
        hint: `There are: ${known.join(", ") || "none"}.`,
      });
    }
    return plugin as AnyPlugin & { readonly kind: Kind };
  }
}

function faultOf(plugin: AnyPlugin): string | undefined {
  if (typeof plugin !== "object" || plugin === null || typeof plugin.name !== "string")
    return "a plugin has no name: its default export is no plugin";
  const name = `the plugin "${plugin.name}"`;
  if (!/^[a-z0-9][a-z0-9@/._-]{0,99}$/.test(plugin.name)) return `${name} has a name that is none`;
  if (plugin.apiVersion !== API_VERSION)
    return `${name} is written for API version ${plugin.apiVersion}; this wkfs has ${API_VERSION}`;
  if (!KINDS.includes(plugin.kind)) return `${name} is of the unknown kind "${String(plugin.kind)}"`;
  if (typeof plugin.create !== "function" || typeof plugin.configSchema?.["~standard"]?.validate !== "function")
    return `${name} lacks create or configSchema`;
  return undefined;
}

export interface Surroundings {
  readonly source: ConfigSource;
  readonly folder: string;
  readonly protect: ProtectedPorts & { readonly maxTime: number };
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Milliseconds that `configSchema` and `create` may take each. */
const CREATE_LIMIT = 30_000;

/** What made implementations are called in errors: `store sqlite`. */
const NAMES = new WeakMap<object, string>();

/** What to call an implementation in errors; one that an embedder bound has the name of its kind alone. */
export function nameOf(kind: PluginKind, implementation: object): string {
  return NAMES.get(implementation) ?? kind;
}

/**
 * Checks the configuration of a plugin and makes it. Errors name the file, the line and the plugin. Throws `CONFIG_INVALID` for
 * what the schema does not take, `PLUGIN_TIMEOUT`, `PLUGIN_INVALID` for what is no implementation of the kind and for what `create`
 * throws; a `WkfsError` of it, such as `SECRET_INVALID`, comes through.
 */
export async function createPlugin<Kind extends PluginKind>(
  registry: PluginRegistry,
  kind: Kind,
  { use, config, path }: PluginUse,
  surroundings: Surroundings,
  name = use,
): Promise<PluginKinds[Kind]> {
  const where: ConfigPath = path;
  const plugin = registry.find(kind, use, surroundings.source.locate(where));
  const of = `${surroundings.source.locate(where)}: plugin ${use}`;
  const checked = await withTimeLimit(CREATE_LIMIT, `${of}: configSchema`, () =>
    checkConfig(plugin.configSchema, config, surroundings.source, where, `plugin ${use}: `),
  );
  const context: PluginContext = {
    log: childLogger(surroundings.log, name),
    clock: surroundings.clock,
    signal: surroundings.signal,
    protect: { tcp: surroundings.protect.tcp, udp: surroundings.protect.udp },
    maxTime: surroundings.protect.maxTime,
    readSecret: (file) => readSecret(isAbsolute(file) ? file : resolve(surroundings.folder, file)),
  };
  const at = `${of}: create`;
  const { made, lacking } = await withTimeLimit(CREATE_LIMIT, at, async () => {
    const created: unknown = await plugin.create(checked as never, context);
    // Here, since a member may be the plugin's code as well.
    return { made: created, lacking: membersLacking(kind, created) };
  });
  if (lacking.length > 0) {
    throw new WkfsError("PLUGIN_INVALID", `${at} gave no ${kind}: it lacks ${lacking.join(", ")}`, {
      hint: "This is a fault of the plugin: report it to its author.",
    });
  }
  NAMES.set(made as object, `${kind} ${name}`);
  return made as PluginKinds[Kind];
}

function membersLacking(kind: PluginKind, made: unknown): readonly string[] {
  const has = (member: string): boolean => {
    if (typeof made !== "object" || made === null || !(member in made)) return false;
    const value = (made as Readonly<Record<string, unknown>>)[member];
    return DATA.includes(member) ? typeof value === "object" && value !== null : typeof value === "function";
  };
  return MEMBERS[kind].filter((member) => !has(member));
}

function childLogger(log: Logger, plugin: string): Logger {
  return {
    debug: (data, message) => log.debug({ plugin, ...data }, message),
    info: (data, message) => log.info({ plugin, ...data }, message),
    warn: (data, message) => log.warn({ plugin, ...data }, message),
    error: (data, message) => log.error({ plugin, ...data }, message),
  };
}
