import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { WkfsError, messageOf } from "@wkfs/core";
import { z } from "zod";
import { untrustedBecause } from "../data-dir.ts";
import { useOf } from "./package-name.ts";

/** An entry of `oclif.plugins` in the data directory's package.json, from which oclif takes a plugin's own commands. */
const entrySchema = z.union([
  z.string().transform((name) => ({ name, type: "user", tag: undefined, url: undefined, root: undefined })),
  z.looseObject({
    name: z.string(),
    type: z.string(),
    tag: z.string().optional(),
    url: z.string().optional(),
    root: z.string().optional(),
  }),
]);
const dataDirSchema = z.looseObject({
  oclif: z.looseObject({ plugins: z.array(entrySchema).default([]) }).default({ plugins: [] }),
});

export interface Installed {
  /** Of the package. */
  readonly name: string;
  /** What `use:` says; undefined for what is no plugin by its name. */
  readonly use: string | undefined;
  readonly root: string;
  readonly from: "registry" | "tarball" | "folder" | "link";
  /** The tag, range or version that was asked for, or the path. */
  readonly origin: string;
}

/** An entry as it is written. */
export type Entry = { readonly name: string } & (
  | { readonly type: "user"; readonly tag: string }
  | { readonly type: "user"; readonly url: string }
  | { readonly type: "link"; readonly root: string }
);

/** What is installed and linked in the data directory; nothing when there is none. */
export async function installedIn(dataDir: string): Promise<Installed[]> {
  const { oclif } = dataDirSchema.parse(await descriptionOf(dataDir));
  return oclif.plugins.map(({ name, type, tag, url, root = join(dataDir, "node_modules", name) }) => {
    const use = useOf(name);
    if (type === "link") return { name, use, root, from: "link", origin: root };
    if (url === undefined) return { name, use, root, from: "registry", origin: tag ?? "latest" };
    const path = url.replace(/^file:/, "");
    return { name, use, root, from: /\.(tgz|tar\.gz)$/.test(path) ? "tarball" : "folder", origin: path };
  });
}

/** The installed package that a person means by its name or by what `use:` says, or undefined. */
export function meantBy(name: string, installed: readonly Installed[]): Installed | undefined {
  return installed.find((plugin) => plugin.name === name) ?? pick(name, installed);
}

/** `@wkfs/NAME`, else `wkfs-plugin-NAME`, else the one in any scope. Throws `PLUGIN_INVALID` when there are several. */
export function pick(use: string, installed: readonly Installed[]): Installed | undefined {
  const called = installed.filter((plugin) => plugin.use === use);
  const ours = [`@wkfs/${use}`, `wkfs-plugin-${use}`].map((name) => called.find((plugin) => plugin.name === name));
  const first = ours.find((plugin) => plugin !== undefined);
  if (first !== undefined || called.length < 2) return first ?? called[0];
  throw new WkfsError("PLUGIN_INVALID", `could be any of ${called.map(({ name }) => name).join(", ")}`, {
    hint: "Uninstall all but one with `wkfs plugins uninstall`.",
  });
}

/** Adds an entry, or takes the place of the one of the same package. */
export async function record(dataDir: string, entry: Entry): Promise<void> {
  await change(dataDir, (entries) => [...entries.filter(({ name }) => name !== entry.name), entry]);
}

export async function forget(dataDir: string, name: string): Promise<void> {
  await change(dataDir, (entries) => entries.filter((entry) => entry.name !== name));
}

/**
 * Makes the data directory, unless it is there, and throws `PLUGIN_INVALID` when somebody less privileged could change
 * what is in it.
 */
export async function makeDataDir(dataDir: string): Promise<void> {
  // Others may read, since the daemon may run as another user; whatever the umask is.
  process.umask(0o022);
  await mkdir(dataDir, { recursive: true }).catch((error: unknown) => {
    throw new WkfsError("HOST_UNSUPPORTED", `cannot make the data directory: ${messageOf(error)}`, {
      hint: `Run this as root, or set WKFS_DATA_DIR to a folder of yours.`,
    });
  });
  refuseUntrusted(dataDir);
  const file = join(dataDir, "package.json");
  const fresh = { name: "wkfs-plugins", private: true, oclif: { schema: 1, plugins: [] } };
  await writeFile(file, text(fresh), { flag: "wx" }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw unwritable(dataDir, error);
  });
}

/** Throws `PLUGIN_INVALID` when somebody less privileged could change what is in the data directory. */
export function refuseUntrusted(dataDir: string): void {
  const reason = untrustedBecause(dataDir);
  if (reason === undefined) return;
  throw new WkfsError("PLUGIN_INVALID", `plugins are refused: ${reason}`, {
    hint: `Plugins run with the rights of wkfs. Let ${dataDir} and the folders above it belong to root or to you, writable by nobody else; or set WKFS_DATA_DIR, for this command and for the daemon alike, to a folder for which that holds.`,
  });
}

async function change(dataDir: string, by: (entries: readonly { name: string }[]) => readonly object[]): Promise<void> {
  const description = dataDirSchema.parse(await descriptionOf(dataDir));
  const plugins = by(description.oclif.plugins);
  const file = join(dataDir, "package.json");
  try {
    await writeFile(`${file}.new`, text({ ...description, oclif: { schema: 1, ...description.oclif, plugins } }));
    await rename(`${file}.new`, file);
  } catch (error) {
    throw unwritable(dataDir, error);
  }
}

async function descriptionOf(dataDir: string): Promise<unknown> {
  const file = join(dataDir, "package.json");
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return {};
    throw new WkfsError("PLUGIN_INVALID", `cannot read ${file}: ${messageOf(error)}`, {
      hint: "It lists the plugins that are installed. Mend it, or remove it and install them again.",
      cause: error,
    });
  }
}

export function unwritable(dataDir: string, cause: unknown): WkfsError {
  const hint = "Run this as the user to whom the data directory belongs, often root.";
  return new WkfsError("HOST_UNSUPPORTED", `cannot write to ${dataDir}: ${messageOf(cause)}`, { hint, cause });
}

function text(description: object): string {
  return `${JSON.stringify(description, undefined, 2)}\n`;
}
