import { randomUUID } from "node:crypto";
import { chmod, link, lstat, mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { WkfsError, messageOf } from "@wkfs/core";

export interface NewFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
  /** Group to give the file to; the process's own when absent. */
  readonly gid?: number | undefined;
  /** Whether what stands there may be replaced. */
  readonly replace: boolean;
  /** What an error of the check calls the file instead of its path, such as the file that the text came from. */
  readonly origin?: string;
}

/**
 * Writes files whole or not at all: each under another name first, then `check` on those, then each moved to its
 * place. `check` is given the names to read, in the order of the files. Nothing is moved when the check
 * fails, or when a file that may not be replaced is there. Throws `CONFIG_INVALID`, or what the check throws.
 */
export async function writeFiles(
  files: readonly NewFile[],
  check: (staged: readonly string[]) => Promise<void> = async () => {},
): Promise<void> {
  for (const { path, replace } of files) if (!replace) await refuseExisting(path);
  const staged = files.map(({ path }) => join(dirname(path), `.${basename(path)}.${randomUUID()}`));
  try {
    for (const [index, file] of files.entries()) await stage(staged[index]!, file);
    await check(staged).catch((error: unknown) => {
      throw withRealNames(error, files, staged);
    });
    for (const [index, file] of files.entries()) await putInPlace(staged[index]!, file);
  } finally {
    await Promise.all(staged.map((path) => rm(path, { force: true })));
  }
}

/** Throws `CONFIG_INVALID` when something is there. */
export async function refuseExisting(path: string): Promise<void> {
  const there = await lstat(path).then(
    () => true,
    () => false,
  );
  if (there) throw inTheWay(path);
}

/** Makes a folder with this mode. One that is there is left as it is. */
export async function makeFolder(path: string, mode: number): Promise<void> {
  try {
    const made = await mkdir(path, { recursive: true, mode });
    // The umask may have taken something away.
    if (made !== undefined) await chmod(path, mode);
  } catch (error) {
    throw unwritable(path, error);
  }
}

async function stage(staged: string, { path, text, mode, gid }: NewFile): Promise<void> {
  try {
    await using file = await open(staged, "wx", 0o600);
    await file.writeFile(text);
    if (gid !== undefined) await file.chown(process.getuid?.() ?? -1, gid);
    // After the group is right, so that no other group can read it for a moment.
    await file.chmod(mode);
  } catch (error) {
    throw unwritable(path, error);
  }
}

async function putInPlace(staged: string, { path, replace }: NewFile): Promise<void> {
  try {
    if (replace) await rename(staged, path);
    else await link(staged, path);
  } catch (error) {
    throw error instanceof Error && "code" in error && error.code === "EEXIST"
      ? inTheWay(path)
      : unwritable(path, error);
  }
}

/** Lets a group read a file that stays as it is. Throws `CONFIG_INVALID`. */
export async function letGroupRead(path: string, gid: number): Promise<void> {
  try {
    await using file = await open(path, "r");
    const { uid } = await file.stat();
    await file.chown(uid, gid);
    await file.chmod(0o640);
  } catch (error) {
    throw unwritable(path, error);
  }
}

/** An error that names a file which is about to be removed would help nobody. */
function withRealNames(error: unknown, files: readonly NewFile[], staged: readonly string[]): unknown {
  if (!(error instanceof WkfsError)) return error;
  const real = (text: string) =>
    files.reduce((sum, { path, origin }, index) => sum.replaceAll(staged[index]!, origin ?? path), text);
  return new WkfsError(error.code, real(error.message), {
    ...(error.hint === undefined ? {} : { hint: real(error.hint) }),
    cause: error,
  });
}

function inTheWay(path: string): WkfsError {
  return new WkfsError("CONFIG_INVALID", `${path} is already there`, {
    hint: "Nothing was changed. Give --force to write it anew, or another folder.",
  });
}

function unwritable(path: string, error: unknown): WkfsError {
  return new WkfsError("CONFIG_INVALID", `cannot write ${path}: ${messageOf(error)}`, {
    hint: "Run as the user who owns this folder (root, for a server), or give another folder.",
    cause: error,
  });
}
