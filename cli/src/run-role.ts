import { type Logger, isWkfsError, messageOf } from "@wkfs/core";
import { ServiceManager } from "@wkfs/core/host";
import { stopSignal } from "./signals.ts";

/** A daemon or a gateway. What its failed start had begun, it ends itself. */
interface Role {
  readonly stopped: Promise<void>;
  start(): Promise<void>;
  /** Reads its configuration anew. */
  reload(): Promise<unknown>;
  /** Resolves when it could do something now. */
  alive(): Promise<void>;
}

/**
 * Makes a role and runs it in the foreground until SIGTERM or SIGINT, and tells the service manager. SIGHUP has it read its configuration
 * anew; where that is wrong it says so and goes on with the old one. Rejects with what the making, the start or the stop
 * failed with. A signal during the start is obeyed when the start is through; a second one ends the process.
 */
export async function runRole(make: (signal: AbortSignal) => Promise<Role>, log: Logger): Promise<void> {
  const signal = stopSignal();
  const manager = new ServiceManager(log);
  signal.addEventListener("abort", () => {
    log.info({ signal: String(signal.reason?.message) }, "stopping");
    void manager.stopping();
  });
  const begun = Promise.withResolvers<Role>();
  begun.promise.catch(() => {});
  // Before anything else: by itself it would end the process, and a guard with it.
  process.on("SIGHUP", () => void begun.promise.then((role) => reload(role, manager, log)).catch(() => {}));
  const role = await make(signal);
  if (signal.aborted) return;
  // A signal handler alone does not keep a process alive.
  const alive = setInterval(() => {}, 1 << 30);
  try {
    await role.start();
    begun.resolve(role);
    if (!signal.aborted) await manager.ready("running", () => role.alive());
    await role.stopped;
  } finally {
    clearInterval(alive);
    // A role that was told to stop by other ways than a signal has not said so, and its next sign of life would keep the process.
    await manager.stopping();
  }
}

async function reload(role: Role, manager: ServiceManager, log: Logger): Promise<void> {
  await manager.reloading();
  try {
    const result = await role.reload();
    log.info({ ...(typeof result === "object" && result) }, "reloaded");
    await manager.reloaded("running");
  } catch (error) {
    const hint = isWkfsError(error) ? error.hint : undefined;
    log.error({ error: messageOf(error), hint }, "not reloaded; everything is as it was");
    await manager.reloaded(`running with the former configuration: ${messageOf(error).replaceAll(/\s+/g, " ")}`);
  }
}
