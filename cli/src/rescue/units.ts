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
