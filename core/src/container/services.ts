import type { ServerConfig } from "../config/index.ts";
import type { Firewall } from "../contracts/firewall.ts";
import type { Clock, Logger } from "../contracts/plugin.ts";
import type { Store } from "../contracts/store.ts";
import type { Transport } from "../contracts/transport.ts";
import type { NotifierFor } from "../daemon/notifications.ts";
import type { Named } from "../lifecycle/time-limit.ts";
import { serviceId } from "./service-id.ts";

/**
 * What the containers of the roles hold. An embedder replaces any of these: a `ContainerModule` that binds
 * the id again is asked first.
 */
export const Services = {
  Config: serviceId<ServerConfig>("Config"),
  Clock: serviceId<Clock>("Clock"),
  Logger: serviceId<Logger>("Logger"),
  /** Aborts when the role stops. */
  Abort: serviceId<AbortController>("Abort"),
  Transport: serviceId<Transport>("Transport"),
  /** Daemon only. */
  Store: serviceId<Store>("Store"),
  Firewalls: serviceId<readonly Named<Firewall>[]>("Firewalls"),
  Notifiers: serviceId<readonly NotifierFor[]>("Notifiers"),
} as const;
