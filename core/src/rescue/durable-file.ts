import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/**
 * A whole small file; undefined where there is none. What is no plain file, or larger than `limit` bytes, is an error: the
 * folder may be of a user with fewer rights than ours.
 */
export async function readWhole(path: string, limit: number): Promise<string | undefined> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const about = await file.stat();
    if (!about.isFile()) throw new Error("it is no plain file");
    if (about.size > limit) throw new Error(`it is larger than ${limit} bytes`);
    return await file.readFile("utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Replaces a file in one step: another process sees the old one or the new one, and so does who looks after a crash or a power
 * cut. Follows no link that somebody put there.
 */
export async function writeDurably(path: string, text: string, mode: number): Promise<void> {
  const staged = join(dirname(path), `.${basename(path)}.${randomUUID()}`);
  try {
    await using file = await open(staged, "wx", mode);
    await file.writeFile(text);
    // The umask may have taken something away.
    await file.chmod(mode);
    await file.sync();
    await rename(staged, path);
  } catch (error) {
    await rm(staged, { force: true });
    throw error;
  }
  await using folder = await open(dirname(path), "r");
  await folder.sync();
}
