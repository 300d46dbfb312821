import type { ServerConfig } from "../config/index.ts";
import type { Firewall } from "../contracts/firewall.ts";
import type { Clock, Logger } from "../contracts/plugin.ts";
import type { Store } from "../contracts/store.ts";
import type { Transport } from "../contracts/transport.ts";
import type { NotifierFor } from "../daemon/notifications.ts";
import type { Policy } from "../daemon/policy.ts";
import type { Named } from "../lifecycle/time-limit.ts";
import type { RecordFile } from "../rescue/record.ts";
import { serviceId } from "./service-id.ts";

/**
 * What the containers of the roles hold, by typed ids. An embedder replaces any of these: a `ContainerModule` that binds the id
 * again is asked first, and core's own is then never made. Each is made once for a role.
 */
export const Services = {
  /** The checked configuration: the `config` that was handed over. */
  Config: serviceId<ServerConfig>("Config"),
  /** The time. Of core all but limits of plugin calls and further processes of a gateway goes by it. */
  Clock: serviceId<Clock>("Clock"),
  /** Where the log goes: the `log` that was handed over, else nowhere. */
  Logger: serviceId<Logger>("Logger"),
  /** Core aborts it when the role has stopped; its signal is that of every plugin's context. */
  Abort: serviceId<AbortController>("Abort"),
  /** The link between the halves: the plugin of `transport`. */
  Transport: serviceId<Transport>("Transport"),
  /** Daemon only: what survives a crash, the plugin of `store`. */
  Store: serviceId<Store>("Store"),
  /** Daemon only: at least one packet filter with its name, the plugins of `firewall`. */
  Firewalls: serviceId<readonly Named<Firewall>[]>("Firewalls"),
  /** Daemon only: who is told, of which events, and under which name; the plugins of `notify`. */
  Notifiers: serviceId<readonly NotifierFor[]>("Notifiers"),
  /** Daemon only: the record of `wkfs activate`, in the folder `rescue` of the configuration. */
  Activation: serviceId<RecordFile>("Activation"),
  /** Daemon only: who may open what, a `ConfiguredPolicy` of `protect` and `gateway.keys`. */
  Policy: serviceId<Policy>("Policy"),
} as const;
