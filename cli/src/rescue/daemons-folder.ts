import { lchown, lstat, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { program } from "./program.ts";
import { rescueFolder } from "./snapshot.ts";

/**
 * Makes the folder of the state as systemd makes it for a unit with `StateDirectory=` (systemd.exec(5)): its user's. When systemd
 * finds it to be another's it gives all in it to that user, what `wkfs rescue` goes by too, which is then no longer to
 * be trusted; so this is done before that is written, and leaves it out. Nothing where the unit has no user. Idempotent.
 */
export async function giveToDaemon(stateDir: string, unit: string): Promise<void> {
  const { stdout } = await program(["systemctl", "show", "--value", "--property=User", "--", unit]);
  const user = stdout.trim();
  if (user === "") return;
  const [uid, gid] = await Promise.all([numberOf("-u", user), numberOf("-g", user)]);
  // A unit whose user is not there does not start, and says so.
  if (uid === undefined || gid === undefined) return;
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  if ((await lstat(stateDir)).uid === uid) return;
  const kept = rescueFolder(stateDir);
  for (const entry of await readdir(stateDir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (path !== kept && entry.parentPath !== kept) await lchown(path, uid, gid);
  }
  await lchown(stateDir, uid, gid);
}

async function numberOf(which: "-u" | "-g", user: string): Promise<number | undefined> {
  const { code, stdout } = await program(["id", which, "--", user]);
  return code === 0 ? Number(stdout) : undefined;
}
