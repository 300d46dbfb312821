import { stat } from "node:fs/promises";
import { join } from "node:path";
import { WkfsError } from "@wkfs/core";
import { hasSystemd } from "./outside-timer.ts";
import { program } from "./program.ts";
import { rescueFolder } from "./snapshot.ts";

/** The units that `wkfs service install` writes. */
export const UNITS = ["wkfs-daemon.service", "wkfs-gateway.service"] as const;

/** Whether systemd runs here and knows both. */
export async function hasUnits(): Promise<boolean> {
  return hasSystemd() && (await program(["systemctl", "cat", "--", ...UNITS])).code === 0;
}

/**
 * Gives the folder of the state to the daemon's user, as systemd does when a unit with this `StateDirectory=` first starts, and keeps
 * what root goes by when it puts everything back: systemd, where it finds a folder of root's, gives away all that is in it. Does nothing where
 * the folder has an owner already, or is none of the unit's. Throws `HOST_UNSUPPORTED`.
 */
export async function handOver(stateDir: string): Promise<void> {
  const { stdout } = await program(["systemctl", "show", "--property=User,Group,StateDirectory", UNITS[0]]);
  const of = (name: string): string => new RegExp(`^${name}=(.*)$`, "m").exec(stdout)?.[1] ?? "";
  const folders = of("StateDirectory")
    .split(" ")
    .map((name) => join("/var/lib", name));
  if (of("User") === "" || !folders.includes(stateDir) || (await stat(stateDir)).uid !== 0) return;
  for (const [owner, folder] of [
    [`${of("User")}:${of("Group")}`, stateDir],
    ["0:0", rescueFolder(stateDir)],
  ] as const) {
    const { code, stderr } = await program(["chown", "-R", "-h", owner, "--", folder]);
    if (code === 0) continue;
    throw new WkfsError("HOST_UNSUPPORTED", `${folder} cannot be given to ${owner}: ${stderr.trim()}`, {
      hint: `Make the users of the units with \`systemd-sysusers\`, and run \`wkfs activate\` again.`,
    });
  }
}
