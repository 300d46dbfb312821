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

const KINDS: readonly PluginKind[] = ["firewall", "notifier", "transport", "store"];

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

/** Milliseconds that `create` may take. */
const CREATE_LIMIT = 30_000;

/** Checks the configuration of a plugin and makes it. Errors name the file, the line and the plugin. */
export async function createPlugin<Kind extends PluginKind>(
  registry: PluginRegistry,
  kind: Kind,
  { use, config, path }: PluginUse,
  surroundings: Surroundings,
  name = use,
): Promise<PluginKinds[Kind]> {
  const where: ConfigPath = path;
  const plugin = registry.find(kind, use, surroundings.source.locate(where));
  const checked = await checkConfig(plugin.configSchema, config, surroundings.source, where, `plugin ${use}: `);
  const context: PluginContext = {
    log: childLogger(surroundings.log, name),
    clock: surroundings.clock,
    signal: surroundings.signal,
    protect: { tcp: surroundings.protect.tcp, udp: surroundings.protect.udp },
    maxTime: surroundings.protect.maxTime,
    readSecret: (file) => readSecret(isAbsolute(file) ? file : resolve(surroundings.folder, file)),
  };
  return (await withTimeLimit(
    Promise.resolve(plugin.create(checked as never, context)),
    CREATE_LIMIT,
    `plugin ${use}: create`,
  )) as PluginKinds[Kind];
}

function childLogger(log: Logger, plugin: string): Logger {
  return {
    debug: (data, message) => log.debug({ plugin, ...data }, message),
    info: (data, message) => log.info({ plugin, ...data }, message),
    warn: (data, message) => log.warn({ plugin, ...data }, message),
    error: (data, message) => log.error({ plugin, ...data }, message),
  };
}
