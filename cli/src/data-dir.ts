import { readFileSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

const STICKY = 0o1000;
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Why code below this path must not be run: somebody who is neither root nor we could put it there. Looks at the
 * real path and at every folder above it, since who can rename a folder can replace what is in it. Undefined
 * when nobody can, and when there is nothing. Stricter than `folderFault` of `@wkfs/core/host`: nobody else may even add to it. It stands
 * here, and does not wait, since it is asked at every start, before anything else of ours is loaded.
 */
export function untrustedBecause(path: string): string | undefined {
  let here: string;
  try {
    here = realpathSync(path);
  } catch (error) {
    return isMissing(error) ? undefined : `cannot look at ${path}`;
  }
  for (let above = false; ; above = true) {
    const { uid, mode } = statSync(here);
    if (uid !== 0 && uid !== process.getuid?.()) return `${here} belongs to another user (uid ${uid})`;
    const open = (mode & WRITABLE_BY_OTHERS) !== 0;
    // In a sticky folder such as /tmp nobody can rename what is not theirs.
    if (open && !(above && (mode & STICKY) !== 0)) return `${here} can be written by others (mode ${octal(mode)})`;
    const parent = dirname(here);
    if (parent === here) return undefined;
    here = parent;
  }
}

/**
 * Whether oclif may take up the commands of what is installed and linked, which it imports before any command of ours
 * runs. False also when nothing is installed: then there is nothing to look for.
 */
export function mayTakeUp(dataDir: string): boolean {
  try {
    const { oclif } = JSON.parse(readFileSync(join(dataDir, "package.json"), "utf8")) as {
      readonly oclif?: { readonly plugins?: readonly { readonly root?: unknown }[] };
    };
    const linked = (oclif?.plugins ?? []).flatMap(({ root }) => (typeof root === "string" ? [root] : []));
    return [dataDir, ...linked].every((folder) => untrustedBecause(folder) === undefined);
  } catch {
    return false;
  }
}

/** Where root's plugins are. */
export const ROOT_DATA_DIR = "/var/lib/wkfs";

/** Where `wkfs plugins install` puts plugins, unless `WKFS_DATA_DIR` says otherwise. */
export function defaultDataDir(environment: NodeJS.ProcessEnv): string {
  if (process.getuid?.() === 0) return ROOT_DATA_DIR;
  return join(environment["XDG_DATA_HOME"] || join(homedir(), ".local", "share"), "wkfs");
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
