import { z } from "zod";
import type { Steering } from "../daemon/steering.ts";
import { parseAddress } from "../model/address.ts";
import { WkfsError } from "../model/errors.ts";
import type { WkfsEvent } from "../model/event.ts";
import { BY_HAND, type Lease } from "../model/lease.ts";
import type { Port } from "../model/port.ts";
import type { Reloaded } from "../daemon/reload.ts";
import type { Operation, Operations } from "./messages.ts";

/** Most events that wait for somebody who follows them and does not read. */
const BEHIND = 10_000;

const ports = z.array(z.int().min(1).max(65_535)).max(1024).default([]);
const target = { address: z.string().max(100), tcp: ports, udp: ports };
const ARGS = {
  none: z.strictObject({}),
  leases: z.strictObject({ counters: z.boolean().default(false) }),
  open: z.strictObject({ ...target, time: z.number().min(1).max(2_147_483) }),
  close: z.strictObject(target),
  stop: z.strictObject({ detach: z.boolean().default(false) }),
  history: z.strictObject({ since: z.number().optional(), limit: z.int().min(1).max(100_000).default(100) }),
};

/** Who can be listened to for what happens. */
interface EventSource {
  on(name: "event", listener: (event: WkfsEvent) => void): unknown;
  off(name: "event", listener: (event: WkfsEvent) => void): unknown;
  /** Settles when nothing more will happen. */
  readonly stopped: Promise<void>;
}

/** The daemon as a whole. */
export interface Steered extends EventSource {
  confirm(): Promise<boolean>;
  stop(): Promise<void>;
  leave(): Promise<void>;
}

/** What docs/control.md says that can be asked, each with its arguments, items and result. */
export function operations(
  steering: Steering,
  daemon: Steered,
  reload: (() => Promise<Reloaded>) | undefined,
): Operations {
  return {
    reload: operation(ARGS.none, () => {
      if (reload !== undefined) return reload();
      throw new WkfsError("CONTROL_FAILED", "this daemon cannot read its configuration anew", {
        hint: "Restart it; only a `wkfs daemon` reloads.",
      });
    }),
    status: operation(ARGS.none, () => steering.report()),
    leases: operation(ARGS.leases, async ({ counters }, send) => {
      const leases = counters ? await steering.countedLeases() : steering.leases();
      for (const lease of leases) await send(lease);
      return { count: leases.length };
    }),
    open: operation(ARGS.open, ({ address, tcp, udp, time }) => {
      const wanted = portsOf(tcp, udp);
      if (wanted.length === 0)
        throw new WkfsError("CONTROL_FAILED", "no port to open", { hint: "Name tcp or udp ports." });
      const knock = { address: parseAddress(address), ports: wanted, duration: time * 1000, client: undefined };
      return steering.open({ ...knock, byHand: true });
    }),
    close: operation(ARGS.close, async ({ address, tcp, udp }) => {
      const parsed = parseAddress(address);
      const wanted = portsOf(tcp, udp);
      const keys =
        wanted.length > 0
          ? wanted.map((port) => ({ address: parsed, port }))
          : steering.leases().filter((lease: Lease) => lease.address.text === parsed.text);
      return { closed: await steering.close(keys, BY_HAND) };
    }),
    history: operation(ARGS.history, async ({ since, limit }, send) => {
      const found = await steering.history({ limit, ...(since !== undefined && { since }) });
      for (const event of found) await send(event);
      return { count: found.length };
    }),
    events: operation(ARGS.none, (_args, send, signal) => follow(daemon, send, signal)),
    confirm: operation(ARGS.none, async () => ({ confirmed: await daemon.confirm() })),
    stop: operation(ARGS.stop, ({ detach }) => {
      // The answer goes first: the stop ends this connection. What it fails with is in the daemon's log.
      setImmediate(() => void (detach ? daemon.leave() : daemon.stop()).catch(() => {}));
      return { pid: process.pid };
    }),
  };
}

/** Hands on what happens until nobody listens any more, or too slowly. */
async function follow(
  events: EventSource,
  send: (item: unknown) => Promise<void>,
  signal: AbortSignal,
): Promise<never> {
  const waiting: WkfsEvent[] = [];
  let wake = (): void => {};
  let [slow, over] = [false, false];
  const listener = (event: WkfsEvent): void => {
    if (waiting.length < BEHIND) waiting.push(event);
    else slow = true;
    wake();
  };
  const awaken = (): void => wake();
  events.on("event", listener);
  const end = (): void => ((over = true), wake());
  void events.stopped.then(end, end);
  signal.addEventListener("abort", awaken, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      if (slow)
        throw new WkfsError("CONTROL_FAILED", `more than ${BEHIND} events waited to be read`, {
          hint: "Read faster; `wkfs history` has them all.",
        });
      const event = waiting.shift();
      if (event !== undefined) await send(event);
      else if (over)
        throw new WkfsError(
          "CONTROL_FAILED",
          "the daemon stopped, or another has taken its place with a new configuration",
          {
            hint: "Follow it anew.",
          },
        );
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    events.off("event", listener);
    signal.removeEventListener("abort", awaken);
  }
}

function operation<Args>(
  schema: z.ZodType<Args>,
  work: (args: Args, send: (item: unknown) => Promise<void>, signal: AbortSignal) => unknown,
): Operation {
  return async (args, send, signal) => {
    const checked = schema.safeParse(args);
    if (checked.success) return await work(checked.data, send, signal);
    const [issue] = checked.error.issues;
    throw new WkfsError(
      "CONTROL_FAILED",
      `${issue?.path.join(".") || "arguments"}: ${issue?.message ?? "not understood"}`,
      {
        hint: "Use the wkfs command of the same version as the daemon.",
      },
    );
  };
}

function portsOf(tcp: readonly number[], udp: readonly number[]): Port[] {
  const of = (protocol: Port["protocol"], numbers: readonly number[]) =>
    [...new Set(numbers)].map((number) => ({ protocol, number }));
  return [...of("tcp", tcp), ...of("udp", udp)];
}
