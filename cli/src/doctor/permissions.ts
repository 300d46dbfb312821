import { existsSync } from "node:fs";
import { lstat, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { messageOf } from "@wkfs/core";
import { folderFault } from "@wkfs/core/host";
import { untrustedBecause } from "../data-dir.ts";
import { type Found, error, note, ok, warning } from "./finding.ts";
import type { Patient } from "./patient.ts";

/** A file or folder, and what it is for. */
export interface Entry {
  readonly path: string;
  /** `secret`: for its owner and group alone. `trusted`: others may read, and not write. `folder`: as `trusted`, and may be missing. */
  readonly kind: "secret" | "trusted" | "folder";
  /** Undefined where there is none, or we may not look: `missing` tells which. */
  readonly mode: number | undefined;
  readonly missing: boolean;
  /** Why somebody else could put another in its place; undefined when nobody can. */
  readonly above: string | undefined;
}

export function permissionFindings(entries: readonly Entry[]): Found[] {
  const found = entries.flatMap(faultsOf);
  const looked = entries.filter(({ mode }) => mode !== undefined).length;
  return found.some(({ level }) => level !== "note")
    ? found
    : [ok(`${looked} files and folders are as private as they must be`), ...found];
}

function faultsOf({ path, kind, mode, missing, above }: Entry): Found[] {
  if (mode === undefined) {
    if (kind === "folder" && missing) return [];
    return missing
      ? [error(`${path} is missing`, "wkfs install server  # makes what is missing, and keeps what is there")]
      : [note(`${path} cannot be looked at`, "sudo wkfs doctor")];
  }
  const faults: Found[] = [];
  const octal = (mode & 0o7777).toString(8).padStart(4, "0");
  if (kind === "secret" && (mode & 0o027) !== 0)
    faults.push(error(`${path} is a secret and has mode ${octal}`, `chmod 0600 ${path}  # or 0640`));
  if (kind !== "secret" && (mode & 0o022) !== 0)
    faults.push(error(`${path} can be written by others (mode ${octal})`, `chmod go-w ${path}`));
  if (above !== undefined) {
    const folder = /^(\/\S*)/.exec(above)?.[1] ?? dirname(path);
    const mend = above.includes("belongs to") ? `chown root: ${folder}` : `chmod go-w ${folder}`;
    faults.push(warning(`${path} could be replaced: ${above}`, mend));
  }
  return faults;
}

export async function readPermissions({ file, dataDir, config, parts }: Patient): Promise<Entry[]> {
  const secrets = new Set([
    ...(config?.keySets.map(({ keys }) => keys) ?? []),
    ...(config?.gateway?.tls === undefined ? [] : [config.gateway.tls.key]),
    ...parts.flatMap((part) => part.secrets),
  ]);
  const store = parts.find(({ use }) => use === "sqlite")?.config?.["path"];
  const entries = [
    ...[file].map((path) => entryOf(path, "trusted")),
    ...[...secrets].map((path) => entryOf(path, "secret")),
    ...(typeof store === "string" ? [entryOf(store, "folder"), entryOf(dirname(store), "folder")] : []),
    ...(config?.control === undefined ? [] : [entryOf(dirname(config.control.path), "folder")]),
  ];
  return [...(await Promise.all(entries)), ...(await pluginFolder(dataDir))];
}

async function entryOf(path: string, kind: Entry["kind"]): Promise<Entry> {
  try {
    const { mode, uid } = await stat(path);
    return { path, kind, mode, missing: false, above: await folderFault(dirname(path), [uid]) };
  } catch (failure) {
    return { path, kind, mode: undefined, missing: /ENOENT/.test(messageOf(failure)), above: undefined };
  }
}

/**
 * Code is loaded from there, so that the command itself takes nothing up that others could have written. Where nothing is installed it is no more than the folder
 * of the state, which is the daemon's user's.
 */
async function pluginFolder(path: string): Promise<Entry[]> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || !existsSync(join(path, "package.json"))) return [];
  return [{ path, kind: "folder", mode: found.mode & ~0o022, missing: false, above: untrustedBecause(path) }];
}
