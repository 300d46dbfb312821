import type { WkfsEvent } from "@wkfs/core";
import { type SocketFlags, ask } from "./control-socket.ts";

/** What happened, the newest last. `since` in ms since the epoch. */
export async function readHistory(
  flags: SocketFlags & { readonly since?: number | undefined; readonly limit: number },
): Promise<WkfsEvent[]> {
  const events: WkfsEvent[] = [];
  const { since, limit } = flags;
  const args = { limit, ...(since !== undefined && { since }) };
  await ask(flags, "history", { args, onItem: (item) => events.push(item as WkfsEvent) });
  return events.toReversed();
}
