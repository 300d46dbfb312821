import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { WkfsError } from "@wkfs/core";
import { z } from "zod";
import { type Admitted, admit } from "./admission.ts";
import { alone } from "./alone.ts";
import { entryFile } from "./entry.ts";
import { type Entry, installedIn, makeDataDir, record, refuseUntrusted } from "./installed.ts";
import { npm } from "./npm.ts";
import { useOf } from "./package-name.ts";
import { inRegistry } from "./registry.ts";
import { type PluginSource, sourceOf } from "./source.ts";
import { contentOf } from "./tarball.ts";

/** The tarballs of what is installed: npm asks for them again when the next plugin comes. */
const TARBALLS = "tarballs";

/** Installs what is written after `wkfs plugins install`, one after the other, and calls `tell` after each. Throws `STATE_INVALID` too. */
export async function installPlugins(
  texts: readonly string[],
  dataDir: string,
  bundled: readonly string[],
  tell: (plugin: Admitted) => void,
): Promise<readonly Admitted[]> {
  refuseUntrusted(dataDir);
  // All are understood before the first is installed.
  const sources = await Promise.all(texts.map((text) => sourceOf(text, process.cwd())));
  await makeDataDir(dataDir);
  return await alone(dataDir, async () => {
    const installed: Admitted[] = [];
    for (const source of sources) {
      const plugin = await installPlugin(source, dataDir, bundled);
      installed.push(plugin);
      tell(plugin);
    }
    return installed;
  });
}

/**
 * Installs a plugin. Whatever it comes from becomes one tarball in the data directory; its package.json is checked, and then
 * npm installs that file: what was looked at is what is installed, also when a registry describes a package otherwise than
 * it is. Nothing of the package runs. When it fails, what was installed before stays. For who is `alone` in the directory.
 *
 * Throws `PLUGIN_INVALID` for what is no plugin for this wkfs, and what `npm` throws.
 */
export async function installPlugin(
  source: PluginSource,
  dataDir: string,
  bundled: readonly string[],
): Promise<Admitted> {
  const incoming = await mkdtemp(join(dataDir, ".incoming-"));
  try {
    const { tarball, what, entry } = await fetched(source, dataDir, incoming, bundled);
    const { description, files } = await contentOf(tarball, what);
    const plugin = admit(description, what);
    refuseUnbuilt(entryFile(description), files, what);
    await refuseTwice(plugin, dataDir, bundled);
    const kept = join(dataDir, TARBALLS, nameFor(plugin, await readFile(tarball)));
    await mkdir(join(dataDir, TARBALLS), { recursive: true });
    await rename(tarball, kept);
    await putInPlace(plugin, kept, dataDir);
    await record(dataDir, entry(plugin.name));
    return plugin;
  } finally {
    await rm(incoming, { recursive: true, force: true });
    await sweepTarballs(dataDir);
  }
}

/** Takes a package out again, with what only it needed. */
export async function removePackage(name: string, dataDir: string): Promise<void> {
  await npm(dataDir, "uninstall", name);
  await sweepTarballs(dataDir);
}

/** Of its content too: npm takes a file of the same name for the same file. */
function nameFor({ name, version }: Admitted, content: Buffer): string {
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 16);
  return `${name.replace("@", "").replace("/", "-")}-${version}-${hash}.tgz`;
}

interface Fetched {
  readonly tarball: string;
  /** What it is, for errors. */
  readonly what: string;
  readonly entry: (name: string) => Entry;
}

async function fetched(
  source: PluginSource,
  dataDir: string,
  into: string,
  bundled: readonly string[],
): Promise<Fetched> {
  if (source.from === "registry") {
    // What comes with wkfs needs no registry to be refused.
    for (const name of source.packages) refuseBundled(name, useOf(name), bundled);
    const { name, version } = await inRegistry(source, dataDir);
    const tarball = await packed(`${name}@${version}`, dataDir, into);
    return { tarball, what: `${name}@${version}`, entry: () => ({ name, type: "user", tag: source.tag }) };
  }
  const entry = (name: string): Entry => ({ name, type: "user", url: `file:${source.path}` });
  if (source.from === "folder") {
    const description = await readFile(join(source.path, "package.json"), "utf8").catch((error: Error) => {
      throw new WkfsError("PLUGIN_INVALID", `${source.path} is no folder of a package: ${error.message}`, {
        hint: "Give the folder in which the plugin's package.json stands.",
      });
    });
    admit(JSON.parse(description), source.path);
    return { tarball: await packed(source.path, dataDir, into), what: source.path, entry };
  }
  // A copy: who may write the original could otherwise change it after it was checked.
  const tarball = join(into, "plugin.tgz");
  await copyFile(source.path, tarball);
  return { tarball, what: source.path, entry };
}

const packSchema = z.tuple([z.looseObject({ filename: z.string() })]);

async function packed(spec: string, dataDir: string, into: string): Promise<string> {
  const [{ filename }] = packSchema.parse(await npm(dataDir, "pack", spec, `--pack-destination=${into}`));
  return join(into, basename(filename));
}

function refuseUnbuilt(entry: string, files: ReadonlySet<string>, what: string): void {
  if (files.has(entry)) return;
  throw new WkfsError("PLUGIN_INVALID", `${what} has no ${entry}, which its package.json says is its code`, {
    hint: "Build it first: npm run build. Scripts that build are not run on installing.",
  });
}

function refuseBundled(name: string, use: string | undefined, bundled: readonly string[]): void {
  if (use === undefined || !bundled.includes(use)) return;
  throw new WkfsError("PLUGIN_INVALID", `${name} is not needed: "${use}" comes with wkfs`, {
    hint: `Write \`use: ${use}\` in the configuration.`,
  });
}

/** Of two that `use:` could mean, the wrong one would be run some day. Throws `PLUGIN_INVALID`. */
export async function refuseTwice(
  { name, use }: Pick<Admitted, "name" | "use">,
  dataDir: string,
  bundled: readonly string[],
): Promise<void> {
  refuseBundled(name, use, bundled);
  const other = (await installedIn(dataDir)).find((plugin) => plugin.use === use && plugin.name !== name);
  if (other === undefined) return;
  throw new WkfsError("PLUGIN_INVALID", `${name} and ${other.name}, which is installed, are both "use: ${use}"`, {
    hint: `Decide for one. First run: wkfs plugins uninstall ${other.name}`,
  });
}

async function putInPlace({ name }: Admitted, tarball: string, dataDir: string): Promise<void> {
  const undo = await remembered(dataDir, ["package.json", "package-lock.json"]);
  try {
    await npm(dataDir, "install", `file:${tarball}`);
    await refuseStrangeModules(name, dataDir);
  } catch (error) {
    await undo();
    throw error;
  }
}

/**
 * Looks at what npm put there, also for what a plugin depends on, and what lies in a package and npm does not list. With a core of its
 * own it would not be lent ours; and what npm links to is a folder that somebody less privileged may write.
 */
async function refuseStrangeModules(name: string, dataDir: string): Promise<void> {
  const modules = join(dataDir, "node_modules");
  const found = await readdir(modules, { recursive: true });
  if (found.some((path) => `/${path}`.endsWith("/@wkfs/core"))) {
    throw new WkfsError(
      "PLUGIN_INVALID",
      `${name} brings a second @wkfs/core along, in it or through what it depends on`,
      {
        hint: "Its author makes @wkfs/core an optional peer there as well.",
      },
    );
  }
  const { packages } = JSON.parse(await readFile(join(modules, ".package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, { readonly link?: boolean }>>;
  };
  const [linked] = Object.entries(packages).find(([, { link }]) => link === true) ?? [];
  if (linked === undefined) return;
  throw new WkfsError("PLUGIN_INVALID", `${name} depends on a folder of this host, as ${linked}`, {
    hint: "Its author depends on a version in a registry, or puts the package into bundleDependencies.",
  });
}

/** Puts npm's files, and what they list, back as they were. */
async function remembered(dataDir: string, files: readonly string[]): Promise<() => Promise<void>> {
  const texts = await Promise.all(files.map((file) => readFile(join(dataDir, file)).catch(() => undefined)));
  return async () => {
    for (const [index, file] of files.entries()) {
      const content = texts[index];
      await (content === undefined
        ? rm(join(dataDir, file), { force: true })
        : writeFile(join(dataDir, file), content));
    }
    await npm(dataDir, "install").catch(() => {});
  };
}

/** Removes the tarballs that npm no longer has in its list. */
async function sweepTarballs(dataDir: string): Promise<void> {
  const folder = join(dataDir, TARBALLS);
  const listed = await readFile(join(dataDir, "package.json"), "utf8");
  for (const file of await readdir(folder).catch(() => [])) {
    if (!listed.includes(file)) await rm(join(folder, file), { force: true });
  }
}
