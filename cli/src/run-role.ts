import type { Logger } from "@wkfs/core";
import { stopSignal } from "./signals.ts";

/** A daemon or a gateway. What its failed start had begun, it ends itself. */
interface Role {
  readonly stopped: Promise<void>;
  start(): Promise<void>;
}

/**
 * Makes a role and runs it in the foreground until SIGTERM or SIGINT. Rejects with what the making, the start or the stop
 * failed with. A signal during the start is obeyed when the start is through; a second one ends the process.
 */
export async function runRole(make: (signal: AbortSignal) => Promise<Role>, log: Logger): Promise<void> {
  const signal = stopSignal();
  signal.addEventListener("abort", () => log.info({ signal: String(signal.reason?.message) }, "stopping"));
  const role = await make(signal);
  if (signal.aborted) return;
  // A signal handler alone does not keep a process alive.
  const alive = setInterval(() => {}, 1 << 30);
  try {
    await role.start();
    await role.stopped;
  } finally {
    clearInterval(alive);
  }
}
