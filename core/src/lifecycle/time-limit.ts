import { WkfsError, isWkfsError, messageOf } from "../model/errors.ts";

/** An implementation with the name that it has in logs and errors. */
export interface Named<Plugin> {
  /** Unique among those of its kind, and the same across restarts: what waits for a notifier is kept under it. */
  readonly name: string;
  readonly plugin: Plugin;
}

/**
 * Calls a plugin, `what` saying which and what for: `firewall nftables: apply`. Rejects with `PLUGIN_TIMEOUT` when that takes
 * longer than `limit` milliseconds. What the plugin throws comes through when it is a `WkfsError`; anything else is a fault
 * of the plugin, `PLUGIN_INVALID`, also when it was thrown before there was a promise.
 */
export async function withTimeLimit<Result>(
  limit: number,
  what: string,
  work: () => Result | Promise<Result>,
): Promise<Result> {
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
    return await Promise.race([work(), tooLong]);
  } catch (error) {
    if (isWkfsError(error)) throw error;
    throw new WkfsError("PLUGIN_INVALID", `${what} failed: ${messageOf(error)}`, {
      hint: "This is a fault of the plugin: report it to its author.",
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}
