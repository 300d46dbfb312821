import { WkfsError, isWkfsError } from "@wkfs/core";
import { loadServerConfig } from "@wkfs/core/config";
import { controlCall } from "@wkfs/core/control";
import { currentBoot, notConfirmed, recordIn, verdictOn } from "@wkfs/core/rescue";
import { stateDirOf } from "./activate.ts";
import { disarmTimer } from "./outside-timer.ts";
import { runningDaemon } from "./running-daemon.ts";

/** What `wkfs confirm` found and did. */
export interface Confirmed {
  /** False where it was confirmed before. */
  readonly confirmed: boolean;
  readonly line: string;
}

/**
 * Makes the guard permanent: asks the daemon, or where none can be asked writes it into the record, which a daemon looks at every
 * second. Throws `NOT_CONFIRMED` when it is too late, and `STATE_INVALID` where nothing was activated.
 */
export async function confirmGuard(configFile: string): Promise<Confirmed> {
  const config = await loadServerConfig(configFile);
  const stateDir = stateDirOf(config);
  if (config.control !== undefined) {
    try {
      const { confirmed } = (await controlCall({ path: config.control.path, op: "confirm" })) as { confirmed: boolean };
      if (confirmed) await disarmTimer(stateDir);
      if (confirmed) return { confirmed, line: "Confirmed: the guard stays." };
    } catch (error) {
      if (!isWkfsError(error, "DAEMON_UNREACHABLE")) throw error;
    }
  }
  const file = recordIn(stateDir);
  const record = await file.read();
  const verdict = verdictOn(record, Date.now(), await currentBoot());
  if (record === undefined) throw nothing();
  if (verdict.guard === "never") throw notConfirmed(verdict.because);
  if (verdict.guard === "for good") return { confirmed: false, line: "It was confirmed already: the guard stays." };
  await file.write({ ...record, stage: "confirmed" });
  await disarmTimer(stateDir);
  const runs = (await runningDaemon(stateDir)) !== undefined;
  return {
    confirmed: true,
    line: runs
      ? "Confirmed: the guard stays. The daemon takes it up within a second."
      : "Confirmed. No daemon runs: what stands in the packet filter ends on time; start one to guard for good.",
  };
}

function nothing(): WkfsError {
  return new WkfsError("STATE_INVALID", "nothing is on probation: there was no activation", {
    hint: "A daemon that was started without `wkfs activate` guards for good.",
  });
}
