import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { WkfsError, messageOf } from "@wkfs/core";
import { type Admitted, admit } from "./admission.ts";
import { alone } from "./alone.ts";
import { refuseTwice, removePackage } from "./install.ts";
import { installedIn, makeDataDir, record, refuseUntrusted } from "./installed.ts";

/** Makes a folder's package a plugin, where it is. Throws `PLUGIN_INVALID`. */
export async function linkPlugin(folder: string, dataDir: string, bundled: readonly string[]): Promise<Admitted> {
  refuseUntrusted(dataDir);
  const root = resolve(folder.replace(/^file:(?=[^/])/, ""));
  const description = await readFile(join(root, "package.json"), "utf8").catch((error: unknown) => {
    throw new WkfsError("PLUGIN_INVALID", `${root} is no folder of a package: ${messageOf(error)}`, {
      hint: "Give the folder in which the plugin's package.json stands.",
    });
  });
  const plugin = admit(JSON.parse(description), root);
  refuseUntrusted(root);
  await makeDataDir(dataDir);
  await alone(dataDir, () => putLink(plugin, root, dataDir, bundled));
  return plugin;
}

async function putLink(plugin: Admitted, root: string, dataDir: string, bundled: readonly string[]): Promise<void> {
  await refuseTwice(plugin, dataDir, bundled);
  // What was installed under this name would stay behind, and never be run.
  const former = (await installedIn(dataDir)).find(({ name }) => name === plugin.name);
  if (former !== undefined && former.from !== "link") await removePackage(plugin.name, dataDir);
  await record(dataDir, { name: plugin.name, type: "link", root });
}
