import { once } from "node:events";
import { chmod, chown, link, lstat, mkdtemp, readdir, rename, rmdir, unlink } from "node:fs/promises";
import { type Server, connect } from "node:net";
import { basename, dirname, join } from "node:path";
import { WkfsError } from "../model/errors.ts";

/** Who may connect to a Unix socket, and where it is. */
export interface SocketPlace {
  /** Absolute. Its folder must be there, and belong to root or to the process's user. At most 93 bytes: the socket is born under a longer name. */
  readonly path: string;
  /** Of the socket: 0o600, or 0o660 for its group too. */
  readonly mode: number;
  /** The socket's group; else that of the process. */
  readonly gid: number | undefined;
}

/** Connections that the kernel holds ready. */
const BACKLOG = 1024;

/**
 * Makes a server listen on a Unix socket that has its mode and owner before anybody can connect. One that a dead process
 * left is replaced; one on which somebody answers, and what is no socket, is left alone. Gives a function that takes the
 * name away again, if it is still ours. Rejects with `HOST_UNSUPPORTED`, or with the system's error.
 */
export async function listenAt(server: Server, { path, mode, gid }: SocketPlace): Promise<() => Promise<void>> {
  const cradle = await Cradle.make(path);
  try {
    server.listen({ path: cradle.socket, backlog: BACKLOG, exclusive: true });
    await once(server, "listening");
    if (gid !== undefined) await chown(cradle.socket, -1, gid);
    await chmod(cradle.socket, mode);
    return await cradle.name();
  } finally {
    await cradle.remove();
  }
}

/** Each round somebody comes to an end, or a dead daemon's trace is removed. */
const ROUNDS = 10;

/**
 * A folder beside the socket's path that only we can enter. In it the socket is born, so that it has its mode
 * before anybody can connect; and it serves as a lock, so that of processes that start at once each sees what
 * the one before it has done.
 */
class Cradle {
  /** Where the socket is to be born. */
  readonly socket: string;
  readonly #path: string;
  readonly #entry: string;
  /** Its present name. */
  #folder: string;

  private constructor(path: string, folder: string) {
    this.#path = path;
    this.#folder = folder;
    // Nothing else ever has this name: who finds it knows whose it is, and removes no other's.
    this.#entry = basename(folder).slice(-6);
    this.socket = join(folder, this.#entry);
  }

  static async make(path: string): Promise<Cradle> {
    return new Cradle(path, await mkdtemp(join(dirname(path), ".s")));
  }

  /**
   * Gives the socket, on which we listen already, its path. A socket there on which nobody answers is removed;
   * anything else is left as it is. Gives a function that takes the path away from it. Throws `HOST_UNSUPPORTED`.
   */
  async name(): Promise<() => Promise<void>> {
    await this.#lock();
    await removeDead(this.#path);
    await link(join(this.#folder, this.#entry), this.#path).catch((error: unknown) => {
      throw isCode(error, "EEXIST") ? taken(this.#path) : error;
    });
    const { dev, ino } = await lstat(this.#path);
    return async () => {
      const found = await lstat(this.#path).catch(ignoreMissing);
      if (found?.dev === dev && found.ino === ino) await unlink(this.#path);
    };
  }

  /** Leaves nothing of it; the socket lives on when it has its path. */
  async remove(): Promise<void> {
    await unlink(join(this.#folder, this.#entry)).catch(ignoreMissing);
    // An empty lock is free, and may be another's by now.
    await rmdir(this.#folder).catch(ignoreTaken);
  }

  /**
   * A folder takes the place of another in one step when that is empty, and not when it is not. So the lock is
   * held while its folder has an entry; that is a socket, which shows whether the holder lives.
   */
  async #lock(): Promise<void> {
    const lock = join(dirname(this.#path), `.${basename(this.#path)}.lock`);
    for (let round = 0; round < ROUNDS; round += 1) {
      try {
        await rename(this.#folder, lock);
        this.#folder = lock;
        return;
      } catch (error) {
        if (!isCode(error, "ENOTEMPTY", "EEXIST")) throw error;
      }
      for (const entry of (await readdir(lock).catch(ignoreMissing)) ?? []) {
        const holder = join(lock, entry);
        if (await isAnswered(holder)) throw taken(this.#path);
        await unlink(holder).catch(ignoreMissing);
      }
    }
    throw taken(this.#path);
  }
}

/** Removes the socket of a process that died. */
async function removeDead(path: string): Promise<void> {
  const found = await lstat(path).catch(ignoreMissing);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new WkfsError("HOST_UNSUPPORTED", `${path} is there and is no socket`, {
      hint: "Remove it yourself if nobody needs it, or give it another path in the configuration.",
    });
  }
  if (await isAnswered(path)) throw taken(path);
  await unlink(path);
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
    probe.once("error", (error) => settle(!isCode(error, "ECONNREFUSED", "ENOENT")));
  });
}

function taken(path: string): WkfsError {
  return new WkfsError("HOST_UNSUPPORTED", `another process listens on ${path}, or begins to`, {
    hint: "See with `ss -lxp` whose it is; stop that, or give it another path in the configuration.",
  });
}

function ignoreMissing(error: unknown): undefined {
  if (!isCode(error, "ENOENT")) throw error;
}

function ignoreTaken(error: unknown): void {
  if (!isCode(error, "ENOENT", "ENOTEMPTY", "EEXIST")) throw error;
}

function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
