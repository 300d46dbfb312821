import { hasSystemd } from "./outside-timer.ts";
import { program } from "./program.ts";

/** The units that `wkfs service install` writes. */
export const UNITS = ["wkfs-daemon.service", "wkfs-gateway.service"] as const;

/** Whether systemd runs here and knows both. */
export async function hasUnits(): Promise<boolean> {
  return hasSystemd() && (await program(["systemctl", "cat", "--", ...UNITS])).code === 0;
}
