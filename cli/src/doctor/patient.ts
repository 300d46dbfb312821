import { isAbsolute, resolve } from "node:path";
import { type AnyPlugin, type PluginKind, type PluginKinds, WkfsError, isWkfsError, messageOf } from "@wkfs/core";
import { type PluginUse, type ServerConfig, checkConfig, loadServerConfig, readSecret } from "@wkfs/core/config";
import { loadPlugins } from "../plugins.ts";

/** What is examined. */
export interface Patient {
  /** The configuration file. */
  readonly file: string;
  readonly dataDir: string;
  /** Undefined when the file cannot be used, and `fault` says why. */
  readonly config: ServerConfig | undefined;
  readonly fault: WkfsError | undefined;
  /** Its plugins, each made as a role makes them: none of them has touched the host. */
  readonly parts: readonly Part[];
}

/** A plugin in use. */
export interface Part {
  readonly kind: PluginKind;
  readonly use: string;
  /** `FILE:LINE` in the configuration. */
  readonly where: string;
  /** As its schema gave it; undefined where that did not take it. */
  readonly config: Readonly<Record<string, unknown>> | undefined;
  readonly made: PluginKinds[PluginKind] | undefined;
  /** Absolute paths of the secrets that it read, or wanted to. */
  readonly secrets: readonly string[];
  /** Why it could not be made; not told for a secret, which is examined by itself. */
  readonly fault: WkfsError | undefined;
}

/** Reads the configuration and makes its plugins. Never rejects: what is wrong is part of what is found. */
export async function admit(file: string, dataDir: string): Promise<Patient> {
  let config: ServerConfig;
  try {
    config = await loadServerConfig(file);
  } catch (error) {
    return { file, dataDir, config: undefined, fault: asFault(error), parts: [] };
  }
  const { transport, firewall, store, notify } = config;
  const uses = [
    ...of("transport", transport === undefined ? [] : [transport]),
    ...of("firewall", firewall),
    ...of("store", store === undefined ? [] : [store]),
    ...of("notifier", notify),
  ];
  const parts = await Promise.all(uses.map(([kind, use]) => makePart(kind, use, config, dataDir)));
  return { file, dataDir, config, fault: undefined, parts };
}

/** The parts of one kind that could be made. */
export function partsOf<Kind extends PluginKind>(
  parts: readonly Part[],
  kind: Kind,
): (Part & { readonly made: PluginKinds[Kind] })[] {
  return parts.filter((part) => part.kind === kind && part.made !== undefined) as (Part & {
    readonly made: PluginKinds[Kind];
  })[];
}

async function makePart(kind: PluginKind, use: PluginUse, server: ServerConfig, dataDir: string): Promise<Part> {
  const where = server.source.locate(use.path);
  const secrets: string[] = [];
  const known = { kind, use: use.use, where, secrets };
  let config: Readonly<Record<string, unknown>> | undefined;
  let secretFault = false;
  try {
    const [plugin] = (await loadPlugins([use], server.source, dataDir)) as [AnyPlugin];
    if (plugin.kind !== kind)
      throw new WkfsError("PLUGIN_INVALID", `${where}: "${use.use}" is a ${plugin.kind}, and a ${kind} belongs here`);
    const checked = await checkConfig(plugin.configSchema, use.config, server.source, use.path, `plugin ${use.use}: `);
    config = checked as Readonly<Record<string, unknown>>;
    const made = await plugin.create(checked as never, {
      log: { debug() {}, info() {}, warn() {}, error() {} },
      clock: CLOCK,
      signal: new AbortController().signal,
      protect: { tcp: server.protect.tcp, udp: server.protect.udp },
      maxTime: server.protect.maxTime,
      readSecret: (path) => {
        const secret = isAbsolute(path) ? path : resolve(server.folder, path);
        secrets.push(secret);
        return readSecret(secret).catch((error: unknown) => {
          secretFault = true;
          throw error;
        });
      },
    });
    return { ...known, config, made, fault: undefined };
  } catch (error) {
    return { ...known, config, made: undefined, fault: secretFault ? undefined : asFault(error) };
  }
}

const CLOCK = {
  now: () => Date.now(),
  steady: () => performance.now(),
  setTimer(delay: number, callback: () => void) {
    const timer = setTimeout(callback, delay).unref();
    return () => clearTimeout(timer);
  },
};

function of(kind: PluginKind, uses: readonly PluginUse[]): [PluginKind, PluginUse][] {
  return uses.map((use) => [kind, use]);
}

function asFault(error: unknown): WkfsError {
  return isWkfsError(error) ? error : new WkfsError("PLUGIN_INVALID", messageOf(error), { cause: error });
}
