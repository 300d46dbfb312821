import type { Logger } from "@wkfs/core";
import { aborted, stopSignal } from "./signals.ts";

export interface Role {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Runs a role in the foreground until SIGTERM or SIGINT, and stops it. Rejects with what the start failed
 * with, after stopping what had started. A signal during the start is obeyed when it is through, or at the
 * second signal.
 */
export async function runRole(role: Role, log: Logger, ready: () => object): Promise<void> {
  const signal = stopSignal();
  try {
    await role.start();
  } catch (error) {
    await role.stop().catch(() => {});
    throw error;
  }
  // A service manager need not know how a role is made: this line says that knocks are answered.
  if (!signal.aborted) log.info(ready(), "ready");
  // A signal handler does not keep a process alive; a role without sockets would just end.
  const alive = setInterval(() => {}, 1 << 30);
  await aborted(signal);
  clearInterval(alive);
  log.info({ signal: String(signal.reason?.message) }, "stopping");
  await role.stop();
  log.info({}, "stopped");
}
