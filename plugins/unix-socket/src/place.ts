import { link, lstat, rename, unlink } from "node:fs/promises";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { WkfsError } from "@wkfs/core";

/** Others who take the place at the same moment come to an end, one way or the other. */
const ATTEMPTS = 5;

/** The name under which daemon and gateway meet. */
export interface Place {
  /** Removes the name, unless it has become another's. */
  leave(): Promise<void>;
}

/**
 * Gives the socket `born`, on which we listen already, the name `path` for good. A socket of that name on
 * which nobody answers is removed; anything else is left as it is. The folder of `born` must be on the same
 * file system and ours alone. Throws `TRANSPORT_FAILED`.
 */
export async function takePlace(born: string, path: string): Promise<Place> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    try {
      // Of two who do this at once, one fails; a rename would let both believe that the name is theirs.
      await link(born, path);
      const { dev, ino } = await lstat(path);
      await unlink(born);
      return {
        async leave() {
          const found = await lstat(path).catch(() => undefined);
          if (found?.dev === dev && found.ino === ino) await unlink(path);
        },
      };
    } catch (error) {
      if (!isCode(error, "EEXIST")) throw error;
    }
    await removeDead(path, join(dirname(born), "d"));
  }
  throw taken(path);
}

/** Removes the socket of a daemon that died. `aside` is a name that is ours alone. */
async function removeDead(path: string, aside: string): Promise<void> {
  const found = await lstat(path).catch(ignoreMissing);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new WkfsError("TRANSPORT_FAILED", `${path} is there and is no socket`, {
      hint: "Remove it yourself if nobody needs it, or give gateway and daemon another transport path.",
    });
  }
  if (await isAnswered(path)) throw taken(path);
  // Since that look another daemon may have taken the place: so it is looked at once more, where nobody else
  // can touch it, and given back when it lives.
  const moved = await rename(path, aside).then(() => true, ignoreMissing);
  if (moved === undefined) return;
  if (await isAnswered(aside)) await link(aside, path).catch(() => {});
  await unlink(aside);
}

/** Whether somebody listens on a socket. Only a clear no is no: a socket whose queue is full is somebody's. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    const settle = (answered: boolean) => {
      probe.destroy();
      resolve(answered);
    };
    probe.once("connect", () => settle(true));
    probe.once("error", (error) => settle(!isCode(error, "ECONNREFUSED") && !isCode(error, "ENOENT")));
  });
}

function taken(path: string): WkfsError {
  return new WkfsError("TRANSPORT_FAILED", `a daemon listens on ${path} already`, {
    hint: "See with `ss -lxp` whose it is; stop that, or give gateway and daemon another transport path.",
  });
}

function ignoreMissing(error: unknown): undefined {
  if (!isCode(error, "ENOENT")) throw error;
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
