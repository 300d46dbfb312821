import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { WkfsError, messageOf } from "@wkfs/core";
import { NAMING, packagesCalled } from "./package-name.ts";

/** Where a plugin is to come from. */
export type PluginSource =
  | { readonly from: "registry"; readonly packages: readonly string[]; readonly tag: string }
  | { readonly from: "tarball" | "folder"; readonly path: string };

/**
 * What somebody means who writes this after `wkfs plugins install`. Paths are relative to `cwd`, as in every other
 * command: what has a slash, or ends as a tarball does, is a path, and never a repository of GitHub as npm takes it.
 * Throws `PLUGIN_INVALID`.
 */
export async function sourceOf(text: string, cwd: string): Promise<PluginSource> {
  const path = pathOf(text, cwd);
  if (path !== undefined) return { from: await kindOfPath(path), path };
  const [, name = "", tag = "latest"] = /^(@?[^@]+)(?:@([\w.^~<>=*| -]{1,100}))?$/.exec(text) ?? [];
  const packages = packagesCalled(name);
  if (packages.length > 0) return { from: "registry", packages, tag };
  if (/^[a-z+]{2,}:/i.test(text)) {
    throw refusal(
      `"${text}" is no package of the registry, no tarball and no folder`,
      "Fetch it, look at it, and give the path of the tarball or of the folder.",
    );
  }
  throw refusal(`"${text}" is no name of a plugin`, `${NAMING} A folder is given as ./${name || "FOLDER"}`);
}

function pathOf(text: string, cwd: string): string | undefined {
  if (/^file:\/\//i.test(text)) return fileUrl(text);
  if (/^file:/i.test(text)) return resolve(cwd, text.slice("file:".length));
  if (text.startsWith("@") || /^[a-z+]{2,}:/i.test(text)) return undefined;
  return text.includes("/") || /^\.\.?$/.test(text) || /\.(tgz|tar\.gz)$/.test(text) ? resolve(cwd, text) : undefined;
}

function fileUrl(text: string): string {
  try {
    return fileURLToPath(text);
  } catch (error) {
    throw refusal(`"${text}": ${messageOf(error)}`, "Give the path alone: /srv/plugin.tgz or ./plugin.tgz");
  }
}

async function kindOfPath(path: string): Promise<"tarball" | "folder"> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    const what = error.code === "ENOENT" ? `there is no ${path}` : `${path}: ${error.message}`;
    throw refusal(what, "Give the path of a tarball that `npm pack` made, or of a plugin's folder.");
  });
  if (found.isDirectory()) return "folder";
  if (found.isFile()) return "tarball";
  throw refusal(`${path} is neither a file nor a folder`, "Give the path of a tarball or of a plugin's folder.");
}

function refusal(message: string, hint: string): WkfsError {
  return new WkfsError("PLUGIN_INVALID", message, { hint });
}
