import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type AnyPlugin, WkfsError, messageOf } from "@wkfs/core";
import { lendCore } from "./lend-core.ts";
import { admit } from "./plugin-install/admission.ts";
import { entryFile } from "./plugin-install/entry.ts";
import { type Installed, installedIn, pick, refuseUntrusted } from "./plugin-install/installed.ts";

/** Milliseconds that the code of a plugin may take to load. */
const LOAD_LIMIT = 30_000;

/**
 * Imports the installed plugin that `use:` means, or gives undefined when there is none. Nothing of a package
 * runs before it is clear that nobody less privileged can have written it, and that it is for our version
 * of the contracts. Throws `PLUGIN_INVALID`, and `PLUGIN_TIMEOUT` when its code waits for ever.
 */
export async function importInstalled(use: string, dataDir: string): Promise<AnyPlugin | undefined> {
  refuseUntrusted(dataDir);
  const plugin = pick(use, await installedIn(dataDir));
  return plugin === undefined ? undefined : await importPackage(plugin);
}

/** All packages that are plugins by their names. Throws `PLUGIN_INVALID`. */
export async function importAll(dataDir: string): Promise<AnyPlugin[]> {
  const installed = (await installedIn(dataDir)).filter(({ use }) => use !== undefined);
  if (installed.length > 0) refuseUntrusted(dataDir);
  const plugins: AnyPlugin[] = [];
  for (const plugin of installed) plugins.push(await importPackage(plugin));
  return plugins;
}

/** The package.json of an installed plugin, which nobody less privileged can have written. Throws `PLUGIN_INVALID`. */
export async function descriptionOf({ name, root }: Installed): Promise<unknown> {
  refuseUntrusted(root);
  try {
    return JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  } catch (error) {
    throw refusal(
      `${name} is not where it was installed: ${messageOf(error)}`,
      `Install it again, or run: wkfs plugins uninstall ${name}`,
    );
  }
}

export async function importPackage(plugin: Installed): Promise<AnyPlugin> {
  const description = await descriptionOf(plugin);
  const { name, version, use, kind } = admit(description, plugin.root);
  lendCore();
  const entry = join(plugin.root, entryFile(description));
  const said = `${name} ${version}`;
  const imported = await defaultExport(entry, said);
  if (!isPlugin(imported)) {
    throw refusal(`${said} has no plugin as its default export`, "Look whether this package is a plugin of wkfs.");
  }
  if (imported.name !== use) {
    throw refusal(
      `${said} calls itself "${imported.name}", and by the name of its package it is "${use}"`,
      "Ask its author to make the names the same.",
    );
  }
  if (kind !== undefined && kind !== imported.kind) {
    throw refusal(`${said} is a ${imported.kind}, and its package.json says ${kind}`, "Ask its author to mend that.");
  }
  return imported;
}

/**
 * Throws `PLUGIN_TIMEOUT` for code that waits for ever: Node would end the process as if all were well. So would code that ends it, and a
 * daemon that reloads with it: throws `PLUGIN_INVALID` in its place. One after the other.
 */
async function defaultExport(entry: string, said: string): Promise<unknown> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const hint = "This is a fault of the plugin: report it to its author.";
    reject(new WkfsError("PLUGIN_TIMEOUT", `${said} was not loaded within ${LOAD_LIMIT / 1000} s`, { hint }));
  }, LOAD_LIMIT);
  const { exit } = process;
  process.exit = (code) => {
    const call = `process.exit(${code ?? ""})`;
    throw refusal(`${said} calls ${call} when it is loaded`, "This is a fault of the plugin: report it to its author.");
  };
  try {
    const loaded = import(pathToFileURL(entry).href) as Promise<{ readonly default?: unknown }>;
    return (await Promise.race([loaded, late])).default;
  } finally {
    process.exit = exit;
    clearTimeout(timer);
  }
}

function isPlugin(value: unknown): value is AnyPlugin {
  return typeof value === "object" && value !== null && "name" in value && typeof value.name === "string";
}

function refusal(message: string, hint: string): WkfsError {
  return new WkfsError("PLUGIN_INVALID", message, { hint });
}
