import { constants } from "node:os";

/** A promise to end: aborts at the first SIGTERM or SIGINT. The second one ends the process at once. */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(128 + constants.signals[name]);
      controller.abort(new Error(name));
    });
  }
  return controller.signal;
}
