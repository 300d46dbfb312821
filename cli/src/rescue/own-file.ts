import { constants } from "node:fs";
import { open } from "node:fs/promises";

/** Bytes of a file that is read: a ruleset of a hundred thousand elements. */
const LIMIT = 268_435_456;

/**
 * The text of a file that root or we ourselves wrote, and nobody else can; undefined where there is none. The folder of the
 * daemon's state may be that of a user with fewer rights: what root does because of a file in it must not be that user's
 * to say.
 */
export async function readOwn(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const about = await file.stat();
    const { uid, mode } = about;
    if (!about.isFile() || about.size > LIMIT) throw new Error(`${path} is no plain file of ours`);
    if ((uid !== 0 && uid !== process.getuid?.()) || (mode & 0o022) !== 0)
      throw new Error(
        `${path} belongs to somebody else, or others can write it (uid ${uid}, mode ${mode.toString(8)})`,
      );
    return await file.readFile("utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
