import { setTimeout as delay } from "node:timers/promises";
import type { WriteStream } from "node:tty";
import { stopSignal } from "../signals.ts";
import { ask } from "./control-socket.ts";
import { type LeasesFlags, leaseTable, readLeases } from "./leases.ts";

/** Events that change what is open. */
const CHANGES: ReadonlySet<unknown> = new Set(["opened", "renewed", "expired", "closed"]);
/** Milliseconds after which a terminal shows how much time is left now, and the least between two looks at a busy daemon. */
const TICK = 1000;
const PAUSE = 100;

/**
 * Shows what is open, and again whenever it changes, until SIGINT or SIGTERM. On a terminal it is one table that stays in its
 * place; in a pipe each is a block ended by an empty line, with `json` a line.
 */
export async function watchLeases(flags: LeasesFlags, output: WriteStream, json: boolean): Promise<void> {
  const terminal = output.isTTY && !json;
  const signal = stopSignal();
  let wake = (): void => {};
  let failure: unknown;
  const onItem = (event: unknown): void => {
    if (CHANGES.has((event as { readonly type?: unknown }).type)) wake();
  };
  ask(flags, "events", { onItem, signal }).catch((error: unknown) => {
    failure = error;
    wake();
  });
  for (;;) {
    // Before it is read, so that no change in between is missed.
    const woken = new Promise<void>((resolve) => (wake = resolve));
    const leases = await readLeases(flags);
    const lines = json ? [JSON.stringify(leases)] : leaseTable(leases, Date.now(), terminal, flags.counters);
    if (terminal) output.write(`\u001B[H\u001B[2J${lines.slice(0, output.rows - 1).join("\n")}\n`);
    else output.write(`${[...lines, ...(json ? [] : [""])].join("\n")}\n`);
    const timer = terminal ? setTimeout(() => wake(), TICK) : undefined;
    await woken;
    clearTimeout(timer);
    if (signal.aborted) return;
    if (failure !== undefined) throw failure;
    await delay(PAUSE);
  }
}
