import { WkfsError } from "@wkfs/core";
import { bundledNames } from "../plugins.ts";
import { alone } from "./alone.ts";
import { removePackage } from "./install.ts";
import { type Installed, forget, installedIn, meantBy, refuseUntrusted } from "./installed.ts";

/** The installed plugin of this name. Throws `PLUGIN_INVALID` when there is none. */
export async function installedCalled(name: string, dataDir: string): Promise<Installed> {
  refuseUntrusted(dataDir);
  const plugin = meantBy(name, await installedIn(dataDir));
  if (plugin !== undefined) return plugin;
  const what = bundledNames().includes(name) ? `"${name}" comes with wkfs` : `"${name}" is not installed in ${dataDir}`;
  throw new WkfsError("PLUGIN_INVALID", what, { hint: "`wkfs plugins` lists what there is." });
}

/** Takes an installed plugin out, and forgets a linked one. */
export async function uninstallPlugin(name: string, dataDir: string): Promise<Installed> {
  refuseUntrusted(dataDir);
  return await alone(dataDir, async () => {
    const plugin = await installedCalled(name, dataDir);
    if (plugin.from !== "link") await removePackage(plugin.name, dataDir);
    await forget(dataDir, plugin.name);
    return plugin;
  });
}
