import { realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";

const STICKY = 0o1000;
const WRITABLE_BY_OTHERS = 0o022;
const ROOT = 0;

/**
 * Why somebody who is neither root nor one of `owners` (user ids) could take a socket away from this folder
 * and put another in its place; undefined when nobody can. Looks at the real path and at every folder above
 * it, since who can rename a folder can replace what is in it. In a sticky folder such as /tmp nobody can
 * remove what is not theirs. Rejects with the system's error when there is no such folder.
 */
export async function folderFault(folder: string, owners: readonly number[]): Promise<string | undefined> {
  for (let here = await realpath(folder); ; here = dirname(here)) {
    const { uid, mode } = await stat(here);
    if (uid !== ROOT && !owners.includes(uid)) return `${here} belongs to another user (uid ${uid})`;
    if (isOpen(mode) && (mode & STICKY) === 0)
      return `${here} can be written by others (mode ${(mode & 0o7777).toString(8).padStart(4, "0")})`;
    if (here === dirname(here)) return undefined;
  }
}

/**
 * Why this socket could be somebody's who may not be the daemon. The daemon's user is not known here, but it
 * is root, us, or the owner of a folder in which nobody else can make sockets. Rejects with the system's
 * error when it is not there.
 */
export async function strangerFault(path: string): Promise<string | undefined> {
  const folder = await stat(dirname(path));
  const { uid } = await stat(path);
  const self = process.geteuid?.() ?? ROOT;
  if (isOpen(folder.mode) && ![ROOT, self].includes(uid))
    return `${dirname(path)} can be written by others and the socket is another user's (uid ${uid})`;
  return await folderFault(dirname(path), [self, folder.uid]);
}

function isOpen(mode: number): boolean {
  return (mode & WRITABLE_BY_OTHERS) !== 0;
}
