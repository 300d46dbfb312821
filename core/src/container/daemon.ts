/** Composition of the daemon: `@wkfs/core/daemon`. Loads nothing of the gateway. */
import { hostname } from "node:os";
import type { Container } from "inversify";
import type { Firewall } from "../contracts/firewall.ts";
import { ControlSocket } from "../control/socket.ts";
import { Daemon } from "../daemon/daemon.ts";
import { Door } from "../daemon/door.ts";
import type { Reloaded } from "../daemon/reload.ts";
import { Firewalls } from "../daemon/firewalls.ts";
import { Expiry } from "../daemon/expiry.ts";
import { Journal } from "../daemon/journal.ts";
import { Limits } from "../daemon/limits.ts";
import { Serial } from "../daemon/serial.ts";
import { Feed } from "../lifecycle/feed.ts";
import { RefusalLog } from "../lifecycle/refusal-log.ts";
import { LeaseBook } from "../daemon/lease-book.ts";
import { Notifications } from "../daemon/notifications.ts";
import { Closings } from "../daemon/closings.ts";
import { ConfiguredPolicy } from "../daemon/policy.ts";
import { Reconcile } from "../daemon/reconcile.ts";
import { Steering } from "../daemon/steering.ts";
import { Transactions } from "../daemon/transactions.ts";
import type { WkfsEvent } from "../model/event.ts";
import { Probation } from "../rescue/probation.ts";
import { noRecord, recordIn } from "../rescue/record.ts";
import { timedStore, timedTransport } from "../lifecycle/timed.ts";
import { nameOf } from "./plugins.ts";
import {
  PLUGIN_PARTS,
  type PluginParts,
  type RoleOptions,
  makeAll,
  makeOne,
  missingSection,
  roleContainer,
} from "./role.ts";
import { serviceId } from "./service-id.ts";
import { Services } from "./services.ts";

export type { Daemon, Leases } from "../daemon/daemon.ts";
export type { CountedLease, DaemonReport, Drift, FirewallReport, NotifierReport } from "../daemon/steering.ts";
export type { ProbationReport } from "../rescue/probation.ts";
export type { ActivationRecord, RecordFile, Stage } from "../rescue/record.ts";
export type { NotifierFor } from "../daemon/notifications.ts";
export { ConfiguredPolicy, type Decision, type Policy, type Question, type Room } from "../daemon/policy.ts";
import type { Named } from "../lifecycle/time-limit.ts";

export type { Named };
export type { Role, RoleEvent, RoleEvents, Status } from "../lifecycle/role.ts";
export type { RoleOptions } from "./role.ts";
export type { Reloaded } from "../daemon/reload.ts";
export { ReloadingDaemon, type ReloadingOptions } from "./reloading-daemon.ts";
export { Services } from "./services.ts";
export { serviceId } from "./service-id.ts";

const DaemonId = serviceId<Daemon>("Daemon");

/** What a daemon is made of. */
export interface DaemonOptions extends RoleOptions {
  /**
   * The daemon whose place this one takes, of the same transport, store, firewalls and control socket: call its `handOver`, then
   * `start` this. Its listener and control socket go on; leases come over by the store and the kernel.
   */
  readonly succeeds?: Daemon;
  /** What the control operation `reload` does; without it, it is refused. */
  readonly reload?: () => Promise<Reloaded>;
}

/**
 * Assembles a daemon. Checks the configuration of every plugin and reads their secrets; touches neither
 * the packet filter nor the store before `start`. Throws `CONFIG_INVALID`, `SECRET_INVALID`, `PLUGIN_INVALID`,
 * `PLUGIN_TIMEOUT`, and the reason of a signal that is aborted.
 */
export async function createDaemon(options: DaemonOptions): Promise<Daemon> {
  const container = await roleContainer(options, (core) => {
    bindFirewalls(core);
    core
      .bind(Services.Store)
      .toResolvedValue((...parts: PluginParts) => makeOne("store", parts[0].store, parts), [...PLUGIN_PARTS]);
    core.bind(Services.Notifiers).toResolvedValue(
      async (...parts: PluginParts) => {
        const { notify } = parts[0];
        const made = await makeAll("notifier", notify, parts);
        return made.map((notifier, index) => ({ ...notifier, events: notify[index]!.events }));
      },
      [...PLUGIN_PARTS],
    );
    core
      .bind(Services.Activation)
      .toResolvedValue(({ rescue }) => (rescue === undefined ? noRecord : recordIn(rescue)), [Services.Config]);
    core.bind(Services.Policy).toResolvedValue((config) => new ConfiguredPolicy(config), [Services.Config]);
    core.bind(DaemonId).toResolvedValue(
      (config, clock, log, abort, keeper, all, notifiers, carrier, policy, activation) => {
        const store = timedStore(nameOf("store", keeper), keeper);
        const transport = timedTransport(nameOf("transport", carrier), carrier);
        const book = new LeaseBook();
        const firewalls = new Firewalls(all, clock, log);
        const serial = new Serial();
        const notifications = new Notifications(notifiers, { store, serial, host: hostname(), clock, log });
        const feed = new Feed<WkfsEvent>();
        const journal = new Journal(store, notifications, log, feed.tell);
        const expiry = new Expiry({ book, firewalls, journal, notifications, serial, clock, log });
        const limits = new Limits(config, book);
        const refusals = new RefusalLog(log, clock);
        const transactions = new Transactions({
          book,
          policy,
          limits,
          firewalls,
          journal,
          notifications,
          expiry,
          serial,
          refusals,
          clock,
          log,
        });
        const probation = new Probation(activation, clock, log);
        const reconcile = new Reconcile({
          firewalls,
          book,
          journal,
          expiry,
          transactions,
          serial,
          probation,
          clock,
          log,
        });
        const steering = new Steering({
          config,
          book,
          store,
          firewalls,
          transport,
          transactions,
          expiry,
          journal,
          notifications,
          serial,
          probation,
          clock,
          log,
        });
        const { succeeds, reload, signal } = options;
        const { door, control } = succeeds?.lasting ?? {
          door: new Door(transport),
          control: config.control && new ControlSocket(config.control, log),
        };
        return new Daemon({
          door,
          control,
          reload,
          heir: succeeds !== undefined,
          steering,
          closings: new Closings({ book, policy, limits, steering, refusals, clock }),
          book,
          policy,
          store,
          firewalls,
          transport,
          journal,
          transactions,
          expiry,
          serial,
          notifications,
          reconcile,
          probation,
          clock,
          log,
          abort,
          feed,
          signal,
        });
      },
      [
        Services.Config,
        Services.Clock,
        Services.Logger,
        Services.Abort,
        Services.Store,
        Services.Firewalls,
        Services.Notifiers,
        Services.Transport,
        Services.Policy,
        Services.Activation,
      ],
    );
  });
  return await container.getAsync(DaemonId);
}

/**
 * Makes the firewalls of a configuration, and nothing else of a daemon: to look at what they can do, or to take down what a
 * daemon left whose other parts cannot be made. Throws `CONFIG_INVALID`, `SECRET_INVALID`, `PLUGIN_INVALID`, `PLUGIN_TIMEOUT`.
 */
export async function createFirewalls(options: RoleOptions): Promise<readonly Named<Firewall>[]> {
  return await (await roleContainer(options, bindFirewalls)).getAsync(Services.Firewalls);
}

function bindFirewalls(core: Container): void {
  core.bind(Services.Firewalls).toResolvedValue(
    async (...parts: PluginParts) => {
      if (parts[0].firewall.length === 0) throw missingSection(parts[0], "firewall");
      return await makeAll("firewall", parts[0].firewall, parts);
    },
    [...PLUGIN_PARTS],
  );
}
