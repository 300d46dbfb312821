import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { WkfsError, messageOf } from "@wkfs/core";
import { z } from "zod";
import { untrustedBecause } from "../data-dir.ts";
import { writeFiles } from "../install/write-files.ts";

/** Name of the list in its folder. */
export const LIST = "installed-files.json";
const schema = z.strictObject({
  version: z.literal(1),
  files: z.array(z.strictObject({ path: z.string().startsWith("/"), sha256: z.string().length(64) })).max(1000),
});

/** A file that we wrote outside of our own folders, and what was in it then. */
export type InstalledFile = z.infer<typeof schema>["files"][number];

/**
 * The list of these files, beside the configuration: who installs owns that folder, and root removes by this list. The state's
 * folder is the daemon's user's, who could have root remove anything. Empty where there is none. Throws `CONFIG_INVALID`.
 */
export async function installedFiles(folder: string): Promise<readonly InstalledFile[]> {
  const path = join(folder, LIST);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw unusable(path, messageOf(error));
  }
  const why = untrustedBecause(path);
  if (why !== undefined) throw unusable(path, why);
  try {
    return schema.parse(JSON.parse(text)).files;
  } catch {
    throw unusable(path, "it is damaged");
  }
}

/** Adds files to the list; what stands there for the same path is replaced. */
export async function recordInstalled(
  folder: string,
  written: readonly { readonly path: string; readonly text: string }[],
): Promise<void> {
  const paths = new Set(written.map(({ path }) => path));
  const former = (await installedFiles(folder)).filter(({ path }) => !paths.has(path));
  const files = [...former, ...written.map(({ path, text }) => ({ path, sha256: sha256(text) }))];
  const list = `${JSON.stringify({ version: 1, files }, null, 2)}\n`;
  await writeFiles([{ path: join(folder, LIST), text: list, mode: 0o644, replace: true }]);
}

/** Whether a file is as we wrote it: only then is it ours to replace or to remove. */
export async function isAsWritten({ path, sha256: sum }: InstalledFile): Promise<boolean> {
  const text = await readFile(path).catch(() => undefined);
  return text !== undefined && sha256(text) === sum;
}

function sha256(text: string | Uint8Array): string {
  return createHash("sha256").update(text).digest("hex");
}

function unusable(path: string, why: string): WkfsError {
  return new WkfsError("CONFIG_INVALID", `cannot go by ${path}: ${why}`, {
    hint: "It says which files wkfs has written. Let it belong to root alone, or remove it and those files by hand.",
  });
}
