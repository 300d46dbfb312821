import { WkfsError, isWkfsError } from "@wkfs/core";
import type { Reloaded } from "@wkfs/core/daemon";
import { type SocketFlags, ask } from "./control-socket.ts";

const GOES_ON = "Nothing has changed: a daemon that runs goes on with the configuration that it had.";

/**
 * Has the daemon read its configuration anew. Throws what is wrong with it, `CONFIG_INVALID`, `SECRET_INVALID` or `PLUGIN_INVALID`,
 * whoever of the two finds it first: we, who look there for the socket, or the daemon.
 */
export async function reloadDaemon(flags: SocketFlags): Promise<Reloaded> {
  try {
    return await ask<Reloaded>(flags, "reload");
  } catch (error) {
    if (!isWkfsError(error) || !/^(CONFIG|SECRET|PLUGIN)_INVALID$/.test(error.code)) throw error;
    const hint = error.hint === undefined ? GOES_ON : `${error.hint}\n${GOES_ON}`;
    throw new WkfsError(error.code, error.message, { hint, cause: error });
  }
}

export function reloadLines({ changed, gap }: Reloaded): string[] {
  if (changed.length === 0) return ["reloaded   nothing that the daemon goes by has changed"];
  return [
    `reloaded   ${changed.join(", ")}; knocks waited for ${gap} ms`,
    ...(changed.includes("gateway.keys")
      ? ["The gateway reads its keys itself: systemctl reload wkfs-gateway, or send it SIGHUP."]
      : []),
  ];
}
