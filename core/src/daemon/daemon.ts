import type { Clock, Logger } from "../contracts/plugin.ts";
import type { Store } from "../contracts/store.ts";
import type { Transport } from "../contracts/transport.ts";
import type { Door } from "./door.ts";
import type { Reloaded } from "./reload.ts";
import { type WkfsError, messageOf } from "../model/errors.ts";
import type { WkfsEvent } from "../model/event.ts";
import type { Lease } from "../model/lease.ts";
import type { Firewalls } from "./firewalls.ts";
import { applyTo, partFor, whole } from "./firewalls.ts";
import { grantHandler } from "./grants.ts";
import type { LeaseBook } from "./lease-book.ts";
import type { Notifications } from "./notifications.ts";
import type { Policy } from "./policy.ts";
import type { Reconcile } from "./reconcile.ts";
import type { Feed } from "../lifecycle/feed.ts";
import { Role } from "../lifecycle/role.ts";
import type { ControlSocket } from "../control/socket.ts";
import { operations } from "../control/operations.ts";
import type { Probation } from "../rescue/probation.ts";
import type { Closings } from "./closings.ts";
import type { Expiry } from "./expiry.ts";
import type { Journal } from "./journal.ts";
import type { Steering } from "./steering.ts";
import type { Serial } from "./serial.ts";
import type { Transactions } from "./transactions.ts";

export interface DaemonParts {
  readonly book: LeaseBook;
  readonly policy: Policy;
  readonly store: Store;
  readonly firewalls: Firewalls;
  readonly transport: Transport;
  readonly journal: Journal;
  readonly transactions: Transactions;
  readonly expiry: Expiry;
  readonly serial: Serial;
  readonly notifications: Notifications;
  readonly reconcile: Reconcile;
  readonly probation: Probation;
  readonly clock: Clock;
  readonly log: Logger;
  /** Aborted when the daemon stops; the signal of every plugin's context. */
  readonly abort: AbortController;
  readonly feed: Feed<WkfsEvent>;
  readonly steering: Steering;
  readonly closings: Closings;
  readonly door: Door;
  /** Where it can be asked; undefined: nowhere. */
  readonly control: ControlSocket | undefined;
  /** What is done when it is asked to read its configuration anew. */
  readonly reload: (() => Promise<Reloaded>) | undefined;
  /** Whether door and control socket were another daemon's, and are not this one's to shut when it fails to start. */
  readonly heir: boolean;
  readonly signal: AbortSignal | undefined;
}

/** What a daemon holds open, to be looked at. */
export interface Leases {
  /** How many there are. */
  readonly size: number;
  /** The lease of this `leaseId`, such as `192.0.2.7 tcp/22`. */
  get(id: string): Lease | undefined;
  /** All of them, in no order. There may be a hundred thousand. */
  all(): readonly Lease[];
}

/** History is kept this long, in milliseconds. */
const HISTORY = 365 * 86_400_000;

/**
 * The privileged half: decides, writes the kernel, remembers, tells. A daemon is started once and stopped
 * once. When it is stopped, or dies, the protected ports stay closed and open leases end on time.
 *
 * Events are those of the history, whatever notifiers are told: `opened`, `renewed`, `expired`, `closed`, `refused`, `healed`,
 * `failed`, `started`, `stopped`. They are told when it has happened; the answer to a knock may be on its way still.
 */
export class Daemon extends Role<WkfsEvent> {
  readonly #parts: DaemonParts;
  /** Set when nothing is to be guarded after the stop: the reason, where it is one. */
  #leaving: { readonly because: WkfsError | undefined } | undefined;
  /** What was started, with its undo; undone in reverse order. */
  readonly #undo: { readonly what: string; readonly run: () => Promise<void> }[] = [];
  #handingOver = false;

  /** @internal */
  constructor(parts: DaemonParts) {
    super(parts.signal);
    this.#parts = parts;
    parts.feed.follow((event) => {
      this.tell(event);
      parts.probation.sees(event);
    });
  }

  /** Open leases. */
  get leases(): Leases {
    return this.#parts.book;
  }

  /**
   * Takes everything of wkfs out of the packet filter, leases included: the protected ports are then as open
   * as the administrator's own rules leave them. For a daemon that does not run, and was not started: `STATE_INVALID` otherwise,
   * and `FIREWALL_FAILED`.
   */
  async detach(): Promise<void> {
    this.retire();
    const failures = await this.#detachAll();
    if (failures.length === 1) throw failures[0];
    if (failures.length > 0) throw new AggregateError(failures, failures.map(messageOf).join("; "));
  }

  /**
   * Makes a guard that is on probation permanent; false where none is. Rejects with `NOT_CONFIRMED` when it is too late, with
   * `STORE_FAILED` and with `FIREWALL_FAILED`.
   */
  async confirm(): Promise<boolean> {
    return await this.#parts.probation.confirm("the console");
  }

  /** Stops, and takes everything out of the packet filter: the protected ports are then as open as without wkfs. */
  async leave(): Promise<void> {
    this.#leaving ??= { because: undefined };
    await this.stop();
  }

  /** Goes on past failures, and gives them. */
  async #detachAll(): Promise<unknown[]> {
    const failures: unknown[] = [];
    for (const firewall of this.#parts.firewalls.all) {
      await whole(firewall, "detach", () => firewall.plugin.detach()).catch((error: unknown) => failures.push(error));
    }
    return failures;
  }

  /**
   * Resolves when its queue has moved: everything that was to be done when this was called is done, or failed. A daemon that
   * hangs does not answer.
   */
  async alive(): Promise<void> {
    await this.#parts.serial.run(async () => {});
  }

  /**
   * Ends as `stop` does, but for another daemon that starts at once in its place: see `succeeds` of `createDaemon`. Nothing opens in
   * between; whoever knocks, or asks over the control socket, waits for the other one.
   */
  async handOver(): Promise<void> {
    const { notifications, door, control } = this.#parts;
    // What is on its way is waited for while knocks are still answered. What they have told is kept for the other one.
    // Its failure is that of the stop.
    if (this.status === "running") await notifications.stop().catch(() => {});
    this.#handingOver = true;
    door.shut();
    control?.suspend();
    await this.stop();
  }

  /** Ends what was kept for a successor, when there will be none. @internal */
  async abandon(): Promise<void> {
    await this.#parts.door.close();
    await this.#parts.control?.close();
  }

  /** The parts that outlive a daemon. @internal */
  get lasting(): Pick<DaemonParts, "door" | "control"> {
    return this.#parts;
  }

  /** Takes over what a former run left. Given up, it leaves the protected ports as closed as they were. @internal */
  protected override async up(): Promise<void> {
    try {
      await this.#startParts();
    } catch (error) {
      // Nobody could knock: what is on probation is not left standing until its time is over.
      if (this.#parts.probation.report !== undefined) this.#leaving = { because: undefined };
      const failures = await this.#unwind();
      for (const failure of failures) this.#parts.log.error({ error: messageOf(failure) }, "while giving up the start");
      throw error;
    }
  }

  async #startParts(): Promise<void> {
    const { policy, store, firewalls, transport, transactions, notifications, reconcile, clock, log } = this.#parts;
    const { closings, expiry, journal, serial, probation, door } = this.#parts;
    const refusal = await probation.begin();
    if (refusal !== undefined) {
      for (const failure of await this.#detachAll()) log.error({ error: messageOf(failure) }, "could not detach");
      throw refusal;
    }
    await store.open();
    this.#undo.push({ what: "store", run: () => store.close() });

    // Stopped last: it has to tell of what happens until then, and no door waits for it.
    this.#undo.push({ what: "notifications", run: () => notifications.stop() });
    this.#undo.push({ what: "firewalls", run: () => this.#release() });
    probation.watch({ confirmed: () => reconcile.reattach(), over: (why) => this.#callOff(why) });
    this.#undo.push({ what: "probation", run: async () => probation.stop() });
    // The programs of the packet filter work while the store is read; the doors are guarded before one is opened.
    const attached = Promise.allSettled([reconcile.attach()]);
    const read = await Promise.allSettled([store.leases()]);
    const [[guarded], [known]] = [await attached, read];
    if (known.status === "rejected") throw known.reason;
    if (guarded.status === "rejected") throw guarded.reason;

    const now = clock.now();
    const { standing, ended, change, cut } = takenOver(known.value, policy, now);
    const append = ended.length > 0 ? [{ type: "expired", time: now, leases: ended } as const] : [];
    await store.write({ ...change, append, enqueue: notifications.address(append), forgetBefore: now - HISTORY });
    await reconcile.begin(standing, cut);
    this.#undo.push({ what: "reconcile", run: () => reconcile.stop() });
    this.#warnOfFamilies();

    await notifications.start();
    expiry.start();
    this.#undo.push({ what: "expiry", run: () => expiry.stop() });
    transactions.open();
    this.#undo.push({ what: "transactions", run: () => transactions.close() });
    await serial.run(() => journal.record({ type: "started", time: clock.now(), leases: standing.length }));
    this.#undo.push({
      what: "history",
      run: () => serial.run(() => journal.record({ type: "stopped", time: clock.now() })),
    });

    this.#undo.push({ what: "transport", run: async () => (this.#lasts ? door.shut() : await door.close()) });
    await door.open(grantHandler(transactions, closings, log));
    await this.#openControl();
    log.info(
      {
        leases: standing.length,
        ended: ended.length,
        firewalls: firewalls.all.map(({ name }) => name),
        transport: transport.addresses,
      },
      "ready",
    );
  }

  /** @internal */
  protected override async down(): Promise<void> {
    const failures = await this.#unwind();
    const trouble =
      failures.length > 0
        ? new AggregateError(failures, `the daemon stopped, with trouble: ${failures.map(messageOf).join("; ")}`)
        : undefined;
    const because = this.#leaving?.because;
    if (because !== undefined && trouble !== undefined) this.#parts.log.error({ error: trouble.message }, "stopping");
    if (because !== undefined) throw because;
    if (trouble !== undefined) throw trouble;
    this.#parts.log.info(
      {},
      this.#leaving !== undefined
        ? "stopped; everything of ours is out of the packet filter"
        : this.#handingOver
          ? "handed over; the protected ports stay closed"
          : "stopped; the protected ports stay closed",
    );
  }

  async #unwind(): Promise<unknown[]> {
    const failures: unknown[] = [];
    for (const { run } of this.#undo.splice(0).toReversed()) {
      try {
        await run();
      } catch (error) {
        failures.push(error);
      }
    }
    this.#parts.abort.abort();
    return failures;
  }

  /** Where nobody but us ends leases they end now; a start while they last opens them again. */
  async #release(): Promise<void> {
    const { firewalls, book } = this.#parts;
    if (this.#leaving !== undefined) {
      const stuck = await this.#detachAll();
      if (stuck.length > 0) throw new AggregateError(stuck, stuck.map(messageOf).join("; "));
      return;
    }
    const failures: unknown[] = [];
    const successor = this.#handingOver;
    for (const firewall of firewalls.all) {
      try {
        if (firewall.plugin.capabilities.expiry === "core" && !successor) {
          const leases = book.all();
          await applyTo(firewall, partFor(firewall.plugin, { open: [], close: leases, before: leases }));
        }
        await whole(firewall, "release", () => firewall.plugin.release({ successor }));
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, failures.map(messageOf).join("; "));
  }

  /** Nobody confirmed, or somebody called it off: nothing stays guarded. */
  #callOff(why: WkfsError): void {
    this.#parts.log.error({ reason: why.message }, "taking everything out of the packet filter");
    this.#leaving = { because: why };
    this.stop().catch(() => {});
  }

  async #openControl(): Promise<void> {
    const { control, steering, reload } = this.#parts;
    if (control === undefined) return;
    this.#undo.push({ what: "control", run: async () => (this.#lasts ? control.suspend() : await control.close()) });
    control.serve(operations(steering, this, reload));
    await control.open();
  }

  /** Whether what outlives a daemon goes to another one: after this one, or where this one does not start. */
  get #lasts(): boolean {
    return this.#handingOver || (this.#parts.heir && this.status === "starting");
  }

  #warnOfFamilies(): void {
    for (const [family, name] of [
      ["ipv4", "iptables"],
      ["ipv6", "ip6tables"],
    ] as const) {
      if (this.#parts.firewalls.takes(family)) continue;
      this.#parts.log.warn(
        { family },
        `no configured firewall takes ${family}: over ${family} the ports are not guarded; add ${name} or nftables to the configuration`,
      );
    }
  }
}

/** What becomes of the leases of a former run. Only what differs is written: of a hundred thousand the rest stands there already. */
function takenOver(
  known: readonly Lease[],
  policy: Policy,
  now: number,
): {
  readonly standing: readonly Lease[];
  readonly ended: readonly Lease[];
  readonly change: { readonly remove: readonly Lease[]; readonly put: readonly Lease[] };
  /** Whether the kernel may hold some for longer than they last now. */
  readonly cut: boolean;
} {
  const standing: Lease[] = [];
  const ended: Lease[] = [];
  const remove: Lease[] = [];
  const put: Lease[] = [];
  for (const lease of known) {
    const upheld = policy.uphold(lease, now);
    if (lease.deadline <= now) ended.push(lease);
    if (upheld === undefined) remove.push(lease);
    else {
      standing.push(upheld);
      if (upheld !== lease) put.push(upheld);
    }
  }
  return { standing, ended, change: { remove, put }, cut: put.length > 0 || remove.length > ended.length };
}
