import "reflect-metadata";
import { Container, type ContainerModule } from "inversify";
import type { PluginUse, ServerConfig } from "../config/index.ts";
import type { AnyPlugin, Clock, Logger, PluginKind, PluginKinds } from "../contracts/plugin.ts";
import { systemClock } from "../lifecycle/clock.ts";
import { silentLogger } from "../lifecycle/silent-logger.ts";
import type { Named } from "../lifecycle/time-limit.ts";
import { WkfsError } from "../model/errors.ts";
import { PluginRegistry, createPlugin } from "./plugins.ts";
import { serviceId } from "./service-id.ts";
import { Services } from "./services.ts";

/** What a daemon or a gateway is made of. */
export interface RoleOptions {
  /** From `loadServerConfig` or `checkServerConfig`. */
  readonly config: ServerConfig;
  /** The plugins that the configuration may name; more than it does is fine. */
  readonly plugins: readonly AnyPlugin[];
  /** Modules of the embedder; what they bind is used in place of core's. */
  readonly modules?: readonly ContainerModule[];
  /** Where the log goes; without one it goes nowhere. `createLogger` of `@wkfs/core/log` makes one as the command line has. */
  readonly log?: Logger;
  /** Stops the role when it aborts, as `stop` does; `stopped` tells when it has ended. One that is aborted already stops the making. */
  readonly signal?: AbortSignal;
}

const Registry = serviceId<PluginRegistry>("PluginRegistry");

/** What the making of a plugin needs, as dependencies of a binding and as its arguments. */
export const PLUGIN_PARTS = [Services.Config, Registry, Services.Clock, Services.Logger, Services.Abort] as const;
export type PluginParts = [ServerConfig, PluginRegistry, Clock, Logger, AbortController];

/**
 * The container of a role with what every role has. Core's bindings are in one container and the embedder's in
 * its child, which is asked first: so `bind` in a module replaces, and nothing has to be unbound.
 */
export async function roleContainer(
  options: RoleOptions,
  bindRole: (container: Container) => void,
): Promise<Container> {
  options.signal?.throwIfAborted();
  const settings = { defaultScope: "Singleton", jitless: true } as const;
  const core = new Container(settings);
  core.bind(Services.Config).toConstantValue(options.config);
  core.bind(Services.Clock).toConstantValue(systemClock);
  core.bind(Services.Logger).toConstantValue(options.log ?? silentLogger);
  core.bind(Services.Abort).toResolvedValue(() => new AbortController(), []);
  core.bind(Registry).toConstantValue(new PluginRegistry(options.plugins));
  core
    .bind(Services.Transport)
    .toResolvedValue((...parts: PluginParts) => makeOne("transport", parts[0].transport, parts), [...PLUGIN_PARTS]);
  bindRole(core);
  const child = new Container({ ...settings, parent: core });
  await child.load(...(options.modules ?? []));
  return child;
}

/** Makes the plugin of a section that has one. Throws `CONFIG_INVALID` when the section is missing. */
export function makeOne<Kind extends PluginKind>(
  kind: Kind,
  use: PluginUse | undefined,
  parts: PluginParts,
  name?: string,
): Promise<PluginKinds[Kind]> {
  const [config, registry, clock, log, abort] = parts;
  if (use === undefined) return Promise.reject(missingSection(config, kind));
  return createPlugin(registry, kind, use, { ...config, clock, log, signal: abort.signal }, name);
}

/**
 * Makes the plugins of a section that is a list. Each has the name of its plugin; where that stands there
 * twice, the second is `name#2`, which stays so across restarts as long as the list does.
 */
export async function makeAll<Kind extends PluginKind>(
  kind: Kind,
  uses: readonly PluginUse[],
  parts: PluginParts,
): Promise<Named<PluginKinds[Kind]>[]> {
  const counts = new Map<string, number>();
  const made: Named<PluginKinds[Kind]>[] = [];
  for (const use of uses) {
    const count = (counts.get(use.use) ?? 0) + 1;
    counts.set(use.use, count);
    const name = count === 1 ? use.use : `${use.use}#${count}`;
    made.push({ name, plugin: await makeOne(kind, use, parts, name) });
  }
  return made;
}

export function missingSection(config: ServerConfig, section: string): WkfsError {
  return new WkfsError("CONFIG_INVALID", `${config.source.locate([])}: there is no section "${section}"`, {
    hint: "Add it; `wkfs install server` writes a configuration that has all of them.",
  });
}
