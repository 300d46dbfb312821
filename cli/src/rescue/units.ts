import { hasSystemd } from "./outside-timer.ts";
import { program } from "./program.ts";

/** The units that `wkfs service install` writes. */
const UNITS = ["wkfs-daemon.service", "wkfs-gateway.service"] as const;

/** Those of them that systemd knows, where it runs; none without the daemon's. The gateway may be PHP's. */
export async function knownUnits(): Promise<readonly string[]> {
  if (!hasSystemd()) return [];
  const known = [];
  for (const unit of UNITS) if ((await program(["systemctl", "cat", "--", unit])).code === 0) known.push(unit);
  return known[0] === UNITS[0] ? known : [];
}

/** Whether it is the main process of the daemon's unit. */
export async function runsAsUnit(pid: number): Promise<boolean> {
  const { stdout } = await program(["systemctl", "show", "--value", "--property=MainPID", "--", UNITS[0]]);
  return stdout.trim() === String(pid);
}

/** Says why not, where systemd refuses. What is in the packet filter stays. */
export async function stopUnits(units: readonly string[]): Promise<string | undefined> {
  const { code, stderr } = await program(["systemctl", "stop", "--", ...units]);
  return code === 0 ? undefined : `systemctl stop: ${stderr.trim()}`;
}
