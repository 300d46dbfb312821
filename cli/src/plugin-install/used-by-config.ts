import { WkfsError, isWkfsError } from "@wkfs/core";
import { type Use, usesOf } from "./rows.ts";

/**
 * The plugins that the server's configuration uses. Undefined, with the reason, where it cannot be read: a list of plugins
 * is of use then too. `given` says whether somebody named the file: then that it is not there is an error.
 */
export async function usedByConfig(
  file: string,
  given: boolean,
): Promise<{ readonly uses: readonly Use[] | undefined; readonly why?: WkfsError }> {
  const { loadServerConfig } = await import("@wkfs/core/config");
  try {
    return { uses: usesOf(await loadServerConfig(file)) };
  } catch (error) {
    if (given || !isWkfsError(error, "CONFIG_INVALID")) throw error;
    return { uses: undefined, why: error };
  }
}
