/** Strict reading of configuration files, for roles and for the command line. */
import { readFile, stat } from "node:fs/promises";
import { dirname, isAbsolute, resolve } from "node:path";
import type { z } from "zod";
import { WkfsError, messageOf } from "../model/errors.ts";
import type { EventType } from "../model/event.ts";
import type { ProtectedPorts } from "../model/port.ts";
import { clientSchema, serverSchema } from "./schema.ts";
import { type ConfigSource, checkConfig, parseYaml, programSource } from "./source.ts";

export { type Json, clientJsonSchema, serverJsonSchema } from "./json-schema.ts";
export { credentialName, readKeys, readSecret } from "./secret.ts";
export { type ConfigPath, type ConfigSource, checkConfig } from "./source.ts";

/** Largest configuration file in bytes. */
const LIMIT = 1_048_576;

/** What stands behind `use:`: the plugin's name, its own configuration, and where that stands. */
export interface PluginUse {
  /** Name of the plugin. */
  readonly use: string;
  /** What stands beside `use`, unchecked. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Where it stands in the configuration. */
  readonly path: readonly (string | number)[];
}

/** A notifier, and the events that it tells of. */
export interface NotifierUse extends PluginUse {
  /** By itself `TOLD`. */
  readonly events: readonly EventType[];
}

/** The ports and the time that the holders of one set of keys may ask for. Times in seconds. */
export interface KeySet extends ProtectedPorts {
  /** Unique; the `client` of its leases. */
  readonly name: string;
  /** Longest lease in seconds. */
  readonly maxTime: number;
  /** The key file, absolute. */
  readonly keys: string;
}

/** The gateway's section, but for its keys. */
export interface GatewayConfig {
  /** `host:port`, `[v6]:port` or `unix:/path`. */
  readonly listen: string;
  /** The only path that is answered, such as `/8f3c0c5e`. */
  readonly path: string;
  /** Networks whose `X-Forwarded-For` is believed, such as `10.0.0.0/8`. */
  readonly trustedProxies: readonly string[];
  /** Processes that serve. */
  readonly workers: number;
  /** Absolute paths of PEM files; undefined: plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
}

/** The daemon's control socket. */
export interface ControlConfig {
  /** Absolute. */
  readonly path: string;
  /** Whose members may steer the daemon, by name or number; else the group of its process. */
  readonly group: string | number | undefined;
}

/** The server's configuration, checked, with paths made absolute and defaults filled in. */
export interface ServerConfig {
  /** Says for errors where something stands. */
  readonly source: ConfigSource;
  /** Relative paths in the configuration are relative to this folder. */
  readonly folder: string;
  /** The ports that are closed, and the longest lease in seconds. */
  readonly protect: ProtectedPorts & { readonly maxTime: number };
  /** Undefined where this host has no gateway. */
  readonly gateway: GatewayConfig | undefined;
  /** Whether clients are told apart: false when `gateway.keys` is one file. */
  readonly namedKeys: boolean;
  /** Who may ask; one named `default` when `gateway.keys` is one file. */
  readonly keySets: readonly KeySet[];
  /** Plugins; what a role needs and is missing is an error of its making. */
  readonly transport: PluginUse | undefined;
  readonly firewall: readonly PluginUse[];
  readonly store: PluginUse | undefined;
  readonly notify: readonly NotifierUse[];
  /** Undefined: there is no socket, and the daemon cannot be asked. */
  readonly control: ControlConfig | undefined;
  /**
   * The folder in which `wkfs activate` leaves the record of its probation, and a daemon finds it; undefined: there is none, and
   * no probation. By itself the folder of the store, where that has a `path`.
   */
  readonly rescue: string | undefined;
  /** How much may be open, and how often may be asked. */
  readonly limits: {
    /** Most open leases in all, and for one address. */
    readonly leases: number;
    readonly leasesPerAddress: number;
    /** Most knocks of one address in one second. */
    readonly knocksPerSecond: number;
  };
}

/** The client's configuration, checked, with paths made absolute. */
export interface ClientConfig {
  /** The gateway's, path included: `https://www.example.org/8f3c0c5e`. */
  readonly url: string;
  /** The key file, absolute. */
  readonly keys: string;
  /** A file of PEM certificates to trust in place of the system's. */
  readonly ca: string | undefined;
  /** Ports to ask for; undefined: all that the server offers. */
  readonly ports: ProtectedPorts | undefined;
  /** Seconds; undefined: as long as the server allows. */
  readonly maxTime: number | undefined;
}

/** The name of the key set where `gateway.keys` is one file. */
export const DEFAULT_KEY_SET = "default";

/** Reads and checks a server's configuration file. Touches nothing else. Throws `CONFIG_INVALID`. */
export async function loadServerConfig(file: string): Promise<ServerConfig> {
  return await parseServerConfig(await readText(file), file);
}

/** Checks the text of a server's configuration, as that of the file `file`. Throws `CONFIG_INVALID`. */
export async function parseServerConfig(text: string, file: string): Promise<ServerConfig> {
  const { value, source } = parseYaml(text, file);
  return await checkServerConfig(value, source, dirname(resolve(file)));
}

/** Checks a configuration that a program made, in the shape of the file. Throws `CONFIG_INVALID`. */
export async function checkServerConfig(
  value: unknown,
  source: ConfigSource = programSource,
  folder = process.cwd(),
): Promise<ServerConfig> {
  const file = await checkConfig<z.infer<typeof serverSchema>>(serverSchema, value, source);
  const { protect, gateway } = file;
  const named = Array.isArray(gateway?.keys);
  const keySets =
    gateway === undefined
      ? []
      : typeof gateway.keys === "string"
        ? [{ name: DEFAULT_KEY_SET, keys: resolve(folder, gateway.keys), ...protect }]
        : gateway.keys.map((set, index) => keySetOf(set, index, protect, source, folder));
  const names = new Set<string>();
  for (const [index, { name }] of keySets.entries()) {
    if (names.has(name))
      throw misfit(source, ["gateway", "keys", index, "name"], `two key sets have the name "${name}"`);
    names.add(name);
  }
  return {
    source,
    folder,
    protect,
    gateway: gateway && {
      listen: gateway.listen,
      path: gateway.path,
      trustedProxies: gateway.trustedProxies,
      workers: gateway.workers,
      tls: gateway.tls && { cert: resolve(folder, gateway.tls.cert), key: resolve(folder, gateway.tls.key) },
    },
    namedKeys: named,
    keySets,
    transport: file.transport && useOf(file.transport, ["transport"]),
    firewall: (file.firewall ?? []).map((entry, index) => useOf(entry, ["firewall", index])),
    store: file.store && useOf(file.store, ["store"]),
    notify: file.notify.map(({ events, ...entry }, index) => ({ ...useOf(entry, ["notify", index]), events })),
    control: file.control && { path: file.control.path, group: file.control.group },
    rescue: file.rescue?.path ?? folderOf(file.store),
    limits: file.limits,
  };
}

/** Reads and checks a client's configuration file. Throws `CONFIG_INVALID`. */
export async function loadClientConfig(file: string): Promise<ClientConfig> {
  const { value, source } = parseYaml(await readText(file), file);
  return await checkClientConfig(value, source, dirname(resolve(file)));
}

/** Checks a configuration that a program made, in the shape of the file. Throws `CONFIG_INVALID`. */
export async function checkClientConfig(
  value: unknown,
  source: ConfigSource = programSource,
  folder = process.cwd(),
): Promise<ClientConfig> {
  const { url, keys, tcp, udp, maxTime, ca } = await checkConfig<z.infer<typeof clientSchema>>(
    clientSchema,
    value,
    source,
  );
  return {
    url,
    keys: resolve(folder, keys),
    ca: ca === undefined ? undefined : resolve(folder, ca),
    ports: tcp === undefined && udp === undefined ? undefined : { tcp: tcp ?? [], udp: udp ?? [] },
    maxTime,
  };
}

type FileKeySet = Exclude<NonNullable<z.infer<typeof serverSchema>["gateway"]>["keys"], string>[number];

function keySetOf(
  set: FileKeySet,
  index: number,
  protect: ServerConfig["protect"],
  source: ConfigSource,
  folder: string,
): KeySet {
  for (const protocol of ["tcp", "udp"] as const) {
    const foreign = set[protocol]?.find((port) => !protect[protocol].includes(port));
    if (foreign !== undefined) {
      throw misfit(
        source,
        ["gateway", "keys", index, protocol],
        `key set "${set.name}" names ${protocol} port ${foreign}, which protect.${protocol} does not have`,
      );
    }
  }
  if (set.maxTime !== undefined && set.maxTime > protect.maxTime) {
    throw misfit(
      source,
      ["gateway", "keys", index, "maxTime"],
      `key set "${set.name}" allows ${set.maxTime} seconds, more than the ${protect.maxTime} of protect.maxTime`,
    );
  }
  // A set that names ports of one protocol only means these and no others.
  const limited = set.tcp !== undefined || set.udp !== undefined;
  return {
    name: set.name,
    keys: resolve(folder, set.keys),
    tcp: limited ? (set.tcp ?? []) : protect.tcp,
    udp: limited ? (set.udp ?? []) : protect.udp,
    maxTime: set.maxTime ?? protect.maxTime,
  };
}

function misfit(source: ConfigSource, path: (string | number)[], what: string): WkfsError {
  return new WkfsError("CONFIG_INVALID", `${source.locate(path)}: ${what}`, {
    hint: "Mend this line and start again.",
  });
}

function useOf({ use, ...config }: { use: string; [key: string]: unknown }, path: (string | number)[]): PluginUse {
  return { use, config, path };
}

/** Of a store that is a file. */
function folderOf(store: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const path = store?.["path"];
  return typeof path === "string" && isAbsolute(path) ? dirname(path) : undefined;
}

async function readText(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > LIMIT) throw new Error(`larger than ${LIMIT} bytes`);
    return await readFile(file, "utf8");
  } catch (error) {
    throw new WkfsError("CONFIG_INVALID", `cannot read the configuration ${file}: ${messageOf(error)}`, {
      hint: "Give the path with --config or WKFS_CONFIG; `wkfs install` writes a first one.",
      cause: error,
    });
  }
}
