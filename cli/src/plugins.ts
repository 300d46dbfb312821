import { type AnyPlugin, WkfsError, messageOf } from "@wkfs/core";
import type { ConfigSource, PluginUse } from "@wkfs/core/config";
import { ROOT_DATA_DIR } from "./data-dir.ts";
import { useOf } from "./plugin-install/package-name.ts";

/** The plugins that come with wkfs. Each is imported only when a configuration uses it. */
const BUNDLED: Readonly<Record<string, () => Promise<{ readonly default: AnyPlugin }>>> = {
  iptables: () => import("@wkfs/iptables"),
  ip6tables: () => import("@wkfs/ip6tables"),
  nftables: () => import("@wkfs/nftables"),
  "dry-run": () => import("@wkfs/dry-run"),
  "localhost-tcp": () => import("@wkfs/localhost-tcp"),
  "unix-socket": () => import("@wkfs/unix-socket"),
  sqlite: () => import("@wkfs/sqlite"),
  memory: () => import("@wkfs/memory"),
  "smtp-email": () => import("@wkfs/smtp-email"),
  webhook: () => import("@wkfs/webhook"),
  exec: () => import("@wkfs/exec"),
};

/**
 * Imports the plugins that these parts of a configuration use, each once: bundled ones, else those that were
 * installed into the data directory. Throws `PLUGIN_INVALID`, which names the line that uses the plugin.
 */
export async function loadPlugins(
  uses: readonly PluginUse[],
  source: ConfigSource,
  dataDir: string,
): Promise<readonly AnyPlugin[]> {
  const plugins = new Map<string, AnyPlugin>();
  for (const { use, path } of uses) {
    if (plugins.has(use)) continue;
    try {
      plugins.set(use, await loadPlugin(use, dataDir));
    } catch (error) {
      const { message, hint } = error instanceof WkfsError ? error : unloadable(error);
      throw new WkfsError("PLUGIN_INVALID", `${source.locate([...path, "use"])}: plugin "${use}": ${message}`, {
        ...(hint === undefined ? {} : { hint }),
        cause: error,
      });
    }
  }
  return [...plugins.values()];
}

export function bundledNames(): readonly string[] {
  return Object.keys(BUNDLED);
}

/** One of `bundledNames`. */
export async function importBundled(name: string): Promise<AnyPlugin> {
  return (await BUNDLED[name]!()).default;
}

/** All that a configuration could use: the bundled ones, and those that are installed. Throws `PLUGIN_INVALID`. */
export async function everyPlugin(dataDir: string): Promise<readonly AnyPlugin[]> {
  const bundled = await Promise.all(Object.values(BUNDLED).map(async (load) => (await load()).default));
  const { importAll } = await import("./installed-plugins.ts");
  const names = new Set(bundled.map(({ name }) => name));
  return [...bundled, ...(await importAll(dataDir)).filter(({ name }) => !names.has(name))];
}

async function loadPlugin(use: string, dataDir: string): Promise<AnyPlugin> {
  const bundled = Object.hasOwn(BUNDLED, use) ? BUNDLED[use] : undefined;
  if (bundled !== undefined) return (await bundled()).default;
  // Only here: it needs zod, and bundled plugins do not need it.
  const { importInstalled } = await import("./installed-plugins.ts");
  const plugin = await importInstalled(use, dataDir);
  if (plugin === undefined) {
    const short = useOf(use);
    if (short !== undefined) {
      throw new WkfsError("PLUGIN_INVALID", "this is the name of a package", { hint: `Write: use: ${short}` });
    }
    throw new WkfsError("PLUGIN_INVALID", `neither bundled nor installed in ${dataDir}`, {
      hint: `Install it with: ${installCommand(use, dataDir)} (Bundled are ${bundledNames().join(", ")}.)`,
    });
  }
  return plugin;
}

/** What an administrator, who is root, types so that this data directory gets the plugin. */
export function installCommand(use: string, dataDir: string): string {
  const place = dataDir === ROOT_DATA_DIR ? "" : `WKFS_DATA_DIR=${shellWord(dataDir)} `;
  return `${place}wkfs plugins install ${nameFor(use)}`;
}

function shellWord(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** What can stand in a command that somebody copies. */
function nameFor(use: string): string {
  return /^[a-z0-9][a-z0-9._-]*$/.test(use) ? use : "NAME";
}

function unloadable(error: unknown): { message: string; hint: string } {
  return {
    message: `it cannot be loaded: ${messageOf(error)}`,
    hint: "Install it again with `wkfs plugins install`, or report it to its author.",
  };
}
