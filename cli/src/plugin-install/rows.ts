import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { PluginKind } from "@wkfs/core";
import type { ServerConfig } from "@wkfs/core/config";
import { failureOf } from "../failure.ts";
import { descriptionOf, importPackage } from "../installed-plugins.ts";
import { KINDS } from "../plugin-package/plugin-package.ts";
import { bundledNames, importBundled, installCommand } from "../plugins.ts";
import { admit } from "./admission.ts";
import { type Installed, installedIn, refuseUntrusted } from "./installed.ts";

/** A plugin as `wkfs plugins` shows it. */
export interface PluginRow {
  /** What `use:` says. */
  readonly name: string;
  /** Undefined when the package cannot be read. */
  readonly kind: PluginKind | undefined;
  readonly version: string | undefined;
  readonly from: "bundled" | Installed["from"] | "missing";
  /** The path, or what was asked of the registry. */
  readonly origin: string | undefined;
  readonly package: string | undefined;
  readonly folder: string | undefined;
  /** Undefined when no configuration could be read. */
  readonly used: boolean | undefined;
  /** File and line of each use. */
  readonly usedAt: readonly string[];
  readonly problem?: { readonly message: string; readonly hint: string | undefined };
}

export interface Use {
  readonly name: string;
  readonly kind: PluginKind;
  readonly at: string;
}

/** All plugins that a configuration uses, with their places. */
export function usesOf({ firewall, notify, store, transport, source }: ServerConfig): readonly Use[] {
  const uses = { firewall, notifier: notify, store: [store], transport: [transport] };
  return KINDS.flatMap((kind) =>
    uses[kind]
      .filter((use) => use !== undefined)
      .map(({ use, path }) => ({ name: use, kind, at: source.locate([...path, "use"]) })),
  );
}

/**
 * Every plugin there is: the bundled ones, those that are installed, and those that are used and missing. `uses` is
 * undefined where there is no configuration. A plugin that says its kind in its package.json is not run for this. Throws
 * `PLUGIN_INVALID` for a data directory that others can write.
 */
export async function pluginRows(dataDir: string, uses: readonly Use[] | undefined): Promise<readonly PluginRow[]> {
  refuseUntrusted(dataDir);
  const usage = (name: string) => {
    const usedAt = (uses ?? []).filter((use) => use.name === name).map(({ at }) => at);
    return { used: uses && usedAt.length > 0, usedAt };
  };
  const bundled = await Promise.all(
    bundledNames().map(async (name) => ({ ...(await bundledRow(name)), ...usage(name) })),
  );
  const rows: PluginRow[] = bundled;
  for (const plugin of await installedIn(dataDir)) {
    if (plugin.use !== undefined) rows.push({ ...(await installedRow(plugin, plugin.use)), ...usage(plugin.use) });
  }
  for (const { name, kind } of uses ?? []) {
    if (rows.some((row) => row.name === name)) continue;
    const nothing = { version: undefined, origin: undefined, package: undefined, folder: undefined };
    const problem = { message: "it is used and not installed", hint: `Run: ${installCommand(name, dataDir)}` };
    rows.push({ name, kind, from: "missing", ...nothing, ...usage(name), problem });
  }
  return rows.toSorted((a, b) => order(a).localeCompare(order(b)));
}

function order({ kind, name }: PluginRow): string {
  return `${kind ?? "~"} ${name}`;
}

type Unused = Omit<PluginRow, "used" | "usedAt">;

async function bundledRow(name: string): Promise<Unused> {
  const file = fileURLToPath(import.meta.resolve(`@wkfs/${name}/package.json`));
  const said = admit(JSON.parse(await readFile(file, "utf8")), file);
  const kind = said.kind ?? (await importBundled(name)).kind;
  return {
    name,
    kind,
    version: said.version,
    from: "bundled",
    origin: undefined,
    package: said.name,
    folder: undefined,
  };
}

async function installedRow(plugin: Installed, use: string): Promise<Unused> {
  const { name, from, origin, root } = plugin;
  const row = { name: use, from, origin, package: name, folder: root };
  try {
    const { version, kind } = admit(await descriptionOf(plugin), name);
    return { ...row, version, kind: kind ?? (await importPackage(plugin)).kind };
  } catch (error) {
    const { message, hint } = failureOf(error, "wkfs plugins");
    return { ...row, version: undefined, kind: undefined, problem: { message, hint } };
  }
}
