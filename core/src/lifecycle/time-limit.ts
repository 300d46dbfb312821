import { WkfsError } from "../model/errors.ts";

/** An implementation with the name that it has in logs and errors. */
export interface Named<Plugin> {
  /** Unique among those of its kind, and the same across restarts: what waits for a notifier is kept under it. */
  readonly name: string;
  readonly plugin: Plugin;
}

/** Rejects with `PLUGIN_TIMEOUT` when the work takes longer than `limit` milliseconds. */
export async function withTimeLimit<Result>(work: Promise<Result>, limit: number, what: string): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new WkfsError("PLUGIN_TIMEOUT", `${what} took longer than ${limit / 1000} s`, {
          hint: "Look into the log for what this plugin does, or report it to its author.",
        }),
      );
    }, limit);
  });
  try {
    return await Promise.race([work, tooLong]);
  } finally {
    clearTimeout(timer);
  }
}
