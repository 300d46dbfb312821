import type { WkfsEvent } from "@wkfs/core";
import { stopSignal } from "../signals.ts";
import { type SocketFlags, ask } from "./control-socket.ts";
import { readHistory } from "./history.ts";
import { eventText } from "./words.ts";

const LATEST = 10;

/** Writes events to stdout: the latest, or with `follow` each as it happens, until SIGINT or SIGTERM. */
export async function showEvents(flags: SocketFlags & { readonly follow: boolean }, json: boolean): Promise<void> {
  const show = (event: WkfsEvent): void =>
    void process.stdout.write(`${json ? JSON.stringify(event) : eventText(event)}\n`);
  if (!flags.follow) {
    for (const event of await readHistory({ ...flags, limit: LATEST })) show(event);
    return;
  }
  const signal = stopSignal();
  try {
    await ask(flags, "events", { onItem: (item) => show(item as WkfsEvent), signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
