import { WkfsError, messageOf } from "@wkfs/core";
import { descriptionOf } from "../installed-plugins.ts";
import { admit } from "./admission.ts";
import { alone } from "./alone.ts";
import { installPlugin } from "./install.ts";
import { type Installed, installedIn, refuseUntrusted } from "./installed.ts";
import { inRegistry } from "./registry.ts";
import { sourceOf } from "./source.ts";
import { installedCalled } from "./uninstall.ts";

interface Update {
  readonly name: string;
  readonly before: string | undefined;
  readonly now: string | undefined;
}

/**
 * Updates plugins by their names, or all. Each is tried, also when another failed; then an error says which did. `tell` gets a
 * line about each.
 */
export async function updatePlugins(
  names: readonly string[],
  dataDir: string,
  bundled: readonly string[],
  tell: (line: string) => void,
): Promise<readonly Update[]> {
  refuseUntrusted(dataDir);
  return await alone(dataDir, () => updateAll(names, dataDir, bundled, tell));
}

async function updateAll(
  names: readonly string[],
  dataDir: string,
  bundled: readonly string[],
  tell: (line: string) => void,
): Promise<readonly Update[]> {
  const plugins =
    names.length === 0
      ? (await installedIn(dataDir)).filter(({ use }) => use !== undefined)
      : await Promise.all(names.map((name) => installedCalled(name, dataDir)));
  if (plugins.length === 0) tell("No plugins are installed.");
  const updates: Update[] = [];
  const failures: unknown[] = [];
  for (const plugin of plugins) {
    try {
      const update = await updated(plugin, dataDir, bundled);
      updates.push(update);
      tell(lineOf(plugin, update));
    } catch (error) {
      failures.push(error);
      tell(`${plugin.name}: not updated`);
    }
  }
  if (failures.length === 0) return updates;
  const first = failures.find((failure) => failure instanceof WkfsError) ?? failures[0];
  const hint = first instanceof WkfsError ? first.hint : undefined;
  throw new WkfsError(
    first instanceof WkfsError ? first.code : "PLUGIN_INVALID",
    failures.map(messageOf).join("\n"),
    hint === undefined ? { cause: first } : { hint, cause: first },
  );
}

async function updated(plugin: Installed, dataDir: string, bundled: readonly string[]): Promise<Update> {
  const { name, from, origin } = plugin;
  const before = await versionOf(plugin);
  if (from === "link") return { name, before, now: before };
  if (from === "registry") {
    const source = { from, packages: [name], tag: origin } as const;
    const { version } = await inRegistry(source, dataDir);
    if (version === before) return { name, before, now: before };
    return { name, before, now: (await installPlugin(source, dataDir, bundled)).version };
  }
  const source = await sourceOf(`file:${origin}`, dataDir);
  const { name: found, version } = await installPlugin(source, dataDir, bundled);
  return { name: found, before, now: version };
}

/** Undefined when what is installed is broken: an update may mend it. */
async function versionOf(plugin: Installed): Promise<string | undefined> {
  try {
    return admit(await descriptionOf(plugin), plugin.name).version;
  } catch {
    return undefined;
  }
}

function lineOf({ from, origin }: Installed, { name, before, now }: Update): string {
  if (from === "link") return `${name}: linked to ${origin}`;
  if (from !== "registry") return `${name}: installed again from ${origin}, ${now}`;
  return before === now ? `${name}: ${now} is the newest for "${origin}"` : `${name}: ${before ?? "broken"} -> ${now}`;
}
