import type { ServerConfig } from "../config/index.ts";
import type { Clock, Logger, PluginKind } from "../contracts/plugin.ts";
import type { Store } from "../contracts/store.ts";
import type { Transport } from "../contracts/transport.ts";
import { WkfsError, messageOf } from "../model/errors.ts";
import type { WkfsEvent } from "../model/event.ts";
import type { Knock, KnockOutcome } from "../model/knock.ts";
import { type Counters, type Lease, type LeaseKey, leaseId } from "../model/lease.ts";
import type { Expiry } from "./expiry.ts";
import { type Firewalls, whole } from "./firewalls.ts";
import type { Journal } from "./journal.ts";
import type { LeaseBook } from "./lease-book.ts";
import type { Notifications } from "./notifications.ts";
import type { Serial } from "./serial.ts";
import type { Transactions } from "./transactions.ts";

/** Events of the history that a report shows. */
const LATEST = 10;
/** Milliseconds of the past, and events of it, in which a report looks for what had to be put right. */
const LATELY = 86_400_000;
const LOOKED_AT = 1000;

/** A lease, and what the kernel counted for it. */
export type CountedLease = Lease & { readonly counters?: Counters | undefined };

/** How the daemon is, in plain JSON. */
export interface DaemonReport {
  readonly pid: number;
  /** When it was started, and now, in milliseconds since the epoch. */
  readonly since: number;
  readonly now: number;
  readonly protect: ServerConfig["protect"];
  readonly leases: number;
  readonly mostLeases: number;
  readonly firewalls: readonly FirewallReport[];
  readonly transport: readonly string[];
  readonly store: string;
  readonly notifiers: readonly NotifierReport[];
  /** Newest first. */
  readonly latest: readonly WkfsEvent[];
  /** What was found changed in the packet filters, or could not be put right, in the last day; newest first. */
  readonly drift: readonly Drift[];
  /** What runs, in the order of the configuration. */
  readonly plugins: readonly { readonly kind: PluginKind; readonly use: string }[];
}

/** Something that was not as it should be in a packet filter. */
export type Drift = Extract<WkfsEvent, { readonly type: "healed" | "failed" }>;

/** How one packet filter is. */
export interface FirewallReport {
  readonly name: string;
  readonly families: readonly string[];
  readonly expiry: "kernel" | "core";
  /** What is wrong with its hooks in words; empty when all is right. */
  readonly missing: readonly string[];
  /** Leases that the kernel holds, where counting is cheap. */
  readonly held?: number | undefined;
  /** Why it could not be looked at. */
  readonly error?: string;
}

/** How one notifier is. */
export interface NotifierReport {
  readonly name: string;
  /** Notifications that wait for it. */
  readonly waiting: number;
  /** Tries in a row that failed. */
  readonly failures: number;
}

export interface SteeringParts {
  readonly config: ServerConfig;
  readonly book: LeaseBook;
  readonly store: Store;
  readonly firewalls: Firewalls;
  readonly transport: Transport;
  readonly transactions: Transactions;
  readonly expiry: Expiry;
  readonly journal: Journal;
  readonly notifications: Notifications;
  readonly serial: Serial;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What can be asked of a daemon while it runs, beside knocks: to look at it, and to open and to close by hand. */
export class Steering {
  readonly #parts: SteeringParts;
  readonly #since: number;

  constructor(parts: SteeringParts) {
    this.#parts = parts;
    this.#since = parts.clock.now();
  }

  /** Looks at the kernel's hooks too, as the frequent check does. */
  async report(): Promise<DaemonReport> {
    const { config, book, firewalls, transport, notifications, serial, clock } = this.#parts;
    const looked = await serial.run(async () => {
      const reports: FirewallReport[] = [];
      for (const firewall of firewalls.all) {
        const { families, expiry } = firewall.plugin.capabilities;
        const known = { name: firewall.name, families, expiry };
        try {
          const { missing, count } = await whole(firewall, "check", () => firewall.plugin.check());
          reports.push({ ...known, missing, held: count });
        } catch (error) {
          reports.push({ ...known, missing: [], error: messageOf(error) });
        }
      }
      return reports;
    });
    return {
      pid: process.pid,
      since: this.#since,
      now: clock.now(),
      protect: config.protect,
      leases: book.size,
      mostLeases: config.limits.leases,
      firewalls: looked,
      transport: transport.addresses,
      store: config.store?.use ?? "none",
      notifiers: notifications.report(),
      latest: await this.history({ limit: LATEST }),
      drift: (await this.history({ since: clock.now() - LATELY, limit: LOOKED_AT })).filter(
        (event) => event.type === "healed" || event.type === "failed",
      ),
      plugins: pluginsOf(config),
    };
  }

  /**
   * All open leases with what the kernels counted for them; where two hold one, the sum. They are read whole for it, with the queue held,
   * which takes a second at 100,000. Rejects with `CONTROL_FAILED` where nobody counts.
   */
  async countedLeases(): Promise<CountedLease[]> {
    const { firewalls, serial } = this.#parts;
    const counting = firewalls.all.filter(({ plugin }) => plugin.capabilities.counters === true);
    if (counting.length === 0)
      throw new WkfsError("CONTROL_FAILED", "no packet filter of this daemon counts packets", {
        hint: "Write `counters: true` beside `use: nftables` or `use: iptables` in the configuration, and restart the daemon.",
      });
    const counted = new Map<string, Counters>();
    await serial.run(async () => {
      for (const firewall of counting) {
        for (const { counters, ...key } of (await whole(firewall, "list", () => firewall.plugin.list())).leases) {
          if (counters === undefined) continue;
          const { packets = 0, bytes = 0 } = counted.get(leaseId(key)) ?? {};
          counted.set(leaseId(key), { packets: packets + counters.packets, bytes: bytes + counters.bytes });
        }
      }
    });
    return this.leases().map((lease) => ({ ...lease, counters: counted.get(leaseId(lease)) }));
  }

  /** All open leases, the first to end first. */
  leases(): Lease[] {
    return this.#parts.book.all().toSorted((a, b) => a.deadline - b.deadline);
  }

  /** Opens as a knock does; `byHand` says by whose authority. */
  open(knock: Knock): Promise<KnockOutcome> {
    return this.#parts.transactions.grant(knock);
  }

  /** Newest first. */
  async history(query: { readonly since?: number; readonly limit: number }): Promise<readonly WkfsEvent[]> {
    // What waits for the next write belongs to it.
    await this.#parts.serial.run(() => this.#parts.journal.flush());
    return await this.#parts.store.history(query);
  }

  /**
   * Ends leases before their deadline, and gives those that were open. Connections that stand are not cut. Rejects with
   * `FIREWALL_FAILED` where a packet filter does not close them: they have then reached their deadline, and are closed as those
   * are that end by themselves, again and again until it succeeds.
   */
  async close(keys: readonly LeaseKey[], by: string): Promise<readonly Lease[]> {
    return await this.#parts.serial.run(() => this.#close(keys, by));
  }

  async #close(keys: readonly LeaseKey[], by: string): Promise<readonly Lease[]> {
    const { book, firewalls, journal, notifications, expiry, clock, log } = this.#parts;
    const open = keys.flatMap((key) => book.get(leaseId(key)) ?? []);
    if (open.length === 0) return [];
    const { closed, failures } = await firewalls.close(open);
    book.remove(closed);
    if (closed.length > 0) {
      const event: WkfsEvent = { type: "closed", time: clock.now(), leases: closed, by };
      const enqueue = notifications.address([event]);
      try {
        await journal.write({ remove: closed, append: [event], enqueue });
      } catch (error) {
        log.error(
          { error: messageOf(error) },
          "the store kept leases that were closed; the next start drops or ends them",
        );
      }
      notifications.deliver(enqueue);
      journal.tell(event);
      log.info({ by, leases: closed.slice(0, 20).map(leaseId), count: closed.length }, "leases closed");
    }
    if (failures.length === 0) return closed;
    const stubborn = open.filter((lease) => book.get(leaseId(lease)) !== undefined);
    book.put(stubborn.map((lease) => ({ ...lease, deadline: clock.now() })));
    expiry.arm();
    throw new WkfsError(
      "FIREWALL_FAILED",
      `${stubborn.length} of ${open.length} leases could not be closed: ${failures.map(({ firewall, error }) => `${firewall}: ${error}`).join("; ")}`,
      { hint: "The daemon tries again each second; its log and `wkfs events --follow` say when it succeeds." },
    );
  }
}

function pluginsOf({ transport, firewall, store, notify }: ServerConfig): DaemonReport["plugins"] {
  const of = (kind: PluginKind, uses: readonly { readonly use: string }[]) => uses.map(({ use }) => ({ kind, use }));
  return [
    ...of("transport", transport === undefined ? [] : [transport]),
    ...of("firewall", firewall),
    ...of("store", store === undefined ? [] : [store]),
    ...of("notifier", notify),
  ];
}
