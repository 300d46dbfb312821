import type { Logger } from "@wkfs/core";
import { aborted, stopSignal } from "./signals.ts";

/** A daemon or a gateway. What its failed start had begun, it ends itself. */
export interface Role {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Runs a role in the foreground until SIGTERM or SIGINT, and stops it. Rejects with what the start or the stop
 * failed with. A signal during the start is obeyed when the start is through; a second one ends the process.
 */
export async function runRole(role: Role, log: Logger): Promise<void> {
  const signal = stopSignal();
  await role.start();
  // A signal handler alone does not keep a process alive.
  const alive = setInterval(() => {}, 1 << 30);
  await aborted(signal);
  clearInterval(alive);
  log.info({ signal: String(signal.reason?.message) }, "stopping");
  await role.stop();
}
