import { constants } from "node:os";

const NAMES = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Aborts at the first signal that asks to end; later ones change nothing, since cleaning up takes a moment and is
 * bounded. `exitCode` is what a shell calls a process that ended by that signal.
 */
export function interruption(): { readonly signal: AbortSignal; exitCode(): number } {
  const controller = new AbortController();
  for (const name of NAMES) process.on(name, () => controller.abort(name));
  return {
    signal: controller.signal,
    exitCode: () => 128 + constants.signals[controller.signal.reason as (typeof NAMES)[number]],
  };
}
