import { readFile } from "node:fs/promises";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { API_VERSION, type AnyPlugin, WkfsError } from "@wkfs/core";
import { z } from "zod";
import { untrustedBecause } from "./data-dir.ts";

/** What `wkfs plugins install` and `wkfs plugins link` leave in the data directory's package.json. */
const dataDirSchema = z.looseObject({
  oclif: z
    .looseObject({
      plugins: z
        .array(
          z.union([z.string(), z.looseObject({ name: z.string(), type: z.string(), root: z.string().optional() })]),
        )
        .default([]),
    })
    .default({ plugins: [] }),
});

const packageSchema = z.looseObject({
  exports: z.unknown(),
  main: z.string().optional(),
  wkfs: z.looseObject({ apiVersion: z.number() }).optional(),
});

interface Installed {
  readonly name: string;
  readonly root: string;
}

/**
 * Imports the installed plugin that `use:` means, or gives undefined when there is none. Nothing of a package
 * runs before it is clear that nobody less privileged can have written it, and that it is for our version
 * of the contracts. Throws `PLUGIN_INVALID`; the text goes on after the plugin's name.
 */
export async function importInstalled(use: string, dataDir: string): Promise<AnyPlugin | undefined> {
  refuseUntrusted(dataDir);
  const plugin = pick(use, await installedIn(dataDir));
  if (plugin === undefined) return undefined;
  const imported = await importPackage(plugin);
  if (imported.name !== use) {
    throw refusal(`(${plugin.name}) calls itself "${imported.name}"`, `Write: use: ${imported.name}`);
  }
  return imported;
}

/** All packages that say they are plugins of wkfs; what else oclif has installed is left alone. Throws `PLUGIN_INVALID`. */
export async function importAll(dataDir: string): Promise<AnyPlugin[]> {
  const installed = await installedIn(dataDir);
  if (installed.length > 0) refuseUntrusted(dataDir);
  const plugins: AnyPlugin[] = [];
  for (const plugin of installed) {
    const { wkfs } = packageSchema.parse(await readJson(join(plugin.root, "package.json")));
    if (wkfs !== undefined) plugins.push(await importPackage(plugin));
  }
  return plugins;
}

async function importPackage(plugin: Installed): Promise<AnyPlugin> {
  refuseUntrusted(plugin.root);
  const description = packageSchema.parse(await readJson(join(plugin.root, "package.json")));
  const version = description.wkfs?.apiVersion;
  if (version !== undefined && version !== API_VERSION) {
    throw refusal(
      `(${plugin.name}) is for version ${version} of the plugin contracts; this wkfs has version ${API_VERSION}`,
      `Run: wkfs plugins install ${plugin.name}@latest, or use the wkfs that it was made for.`,
    );
  }
  const entry = join(plugin.root, entryOf(description.exports) ?? description.main ?? "index.js");
  lendCore();
  const imported = (await import(pathToFileURL(entry).href)) as { readonly default?: unknown };
  if (!isPlugin(imported.default)) {
    throw refusal(
      `(${plugin.name}) has no plugin as its default export`,
      "Look whether this package is a plugin of wkfs.",
    );
  }
  return imported.default;
}

/** The package of exactly this name, else `@wkfs/use`, else `wkfs-plugin-use`, else the one in any scope. */
function pick(use: string, installed: readonly Installed[]): Installed | undefined {
  for (const name of [use, `@wkfs/${use}`, `wkfs-plugin-${use}`]) {
    const exact = installed.find((plugin) => plugin.name === name);
    if (exact !== undefined) return exact;
  }
  const scoped = installed.filter(({ name }) => name.startsWith("@") && name.endsWith(`/${use}`));
  if (scoped.length > 1) {
    throw refusal(
      `could be any of ${scoped.map(({ name }) => name).join(", ")}`,
      "Uninstall all but one with `wkfs plugins uninstall`.",
    );
  }
  return scoped[0];
}

async function installedIn(dataDir: string): Promise<Installed[]> {
  let json: unknown;
  try {
    json = await readJson(join(dataDir, "package.json"));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
  return dataDirSchema.parse(json).oclif.plugins.map((plugin) => {
    const { name, root } = typeof plugin === "string" ? { name: plugin, root: undefined } : plugin;
    return { name, root: root ?? join(dataDir, "node_modules", name) };
  });
}

async function readJson(file: string): Promise<unknown> {
  return JSON.parse(await readFile(file, "utf8"));
}

function refuseUntrusted(folder: string): void {
  const reason = untrustedBecause(folder);
  if (reason === undefined) return;
  throw refusal(
    `is refused: ${reason}`,
    `Plugins run with our rights: let ${folder} and the folders above it belong to root or to us, writable by nobody else.`,
  );
}

/** The file that `import` would take, from `exports` in its usual forms. */
function entryOf(exports: unknown): string | undefined {
  if (typeof exports === "string") return exports;
  if (typeof exports !== "object" || exports === null) return undefined;
  for (const [condition, value] of Object.entries(exports)) {
    if (![".", "node", "import", "default", "module-sync"].includes(condition)) continue;
    const entry = entryOf(value);
    if (entry !== undefined) return entry;
  }
  return undefined;
}

let lent = false;

/**
 * Core is an optional peer of plugins, so that npm does not put a second one beside them. An import of it that
 * leads nowhere from a plugin's own place leads to ours.
 */
function lendCore(): void {
  if (lent) return;
  lent = true;
  const ours = import.meta.resolve("#lent-core");
  registerHooks({
    resolve(specifier, context, next) {
      if (!/^@wkfs\/core(\/|$)/.test(specifier)) return next(specifier, context);
      try {
        return next(specifier, context);
      } catch {
        if (specifier === "@wkfs/core") return { url: ours, shortCircuit: true };
        return next(specifier, { ...context, parentURL: import.meta.url });
      }
    },
  });
}

function isPlugin(value: unknown): value is AnyPlugin {
  return typeof value === "object" && value !== null && "name" in value && typeof value.name === "string";
}

function refusal(message: string, hint: string): WkfsError {
  return new WkfsError("PLUGIN_INVALID", message, { hint });
}
