/** Composition of the gateway: `@wkfs/core/gateway`. Loads nothing of the daemon, and restify only to listen. */
import { type GatewayConfig, type ServerConfig, readKeys } from "../config/index.ts";
import type { GatewayEvent } from "../gateway/event.ts";
import { createFront } from "../gateway/front.ts";
import { Gateway, type GatewayParts } from "../gateway/gateway.ts";
import { ReplayGuard } from "../gateway/replay-guard.ts";
import { type Reply, createUpstream } from "../gateway/upstream.ts";
import { Workers } from "../gateway/workers.ts";
import { Feed } from "../lifecycle/feed.ts";
import { WkfsError } from "../model/errors.ts";
import { timedTransport } from "../lifecycle/timed.ts";
import { nameOf } from "./plugins.ts";
import { type RoleOptions, missingSection, roleContainer } from "./role.ts";
import { serviceId } from "./service-id.ts";
import { Services } from "./services.ts";

export type { Gateway } from "../gateway/gateway.ts";
export type { GatewayEvent } from "../gateway/event.ts";
export type { GatewayHandler } from "../gateway/mount.ts";
export type { Role, RoleEvent, RoleEvents, Status } from "../lifecycle/role.ts";
export type { RoleOptions } from "./role.ts";
export { Services } from "./services.ts";
export { serviceId } from "./service-id.ts";

const GatewayId = serviceId<Gateway>("Gateway");

/** What a gateway is made of. */
export interface GatewayOptions extends RoleOptions {
  /**
   * Whether the gateway listens itself, on `gateway.listen`. With `false` its `handler` is mounted in a web server of the
   * program's own; `gateway.tls` and more than one of `gateway.workers` are then refused. Default: true.
   */
  readonly listen?: boolean;
}

/**
 * Assembles a gateway. Checks the transport's configuration and reads keys and secrets; does not listen before
 * `start`. Throws `CONFIG_INVALID`, `SECRET_INVALID`, `PLUGIN_INVALID`, `PLUGIN_TIMEOUT`, and the reason of a signal that
 * is aborted.
 */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const container = await roleContainer(options, (core) => {
    core.bind(GatewayId).toResolvedValue(
      async (whole, clock, log, abort, carrier) => {
        const { listen: listens = true, signal } = options;
        const config = sectionOf(whole, listens);
        const { keySets } = whole;
        // Before anything else: keys that cannot be read are an error of the configuration.
        for (const set of keySets) await readKeys(set.keys);
        const feed = new Feed<GatewayEvent>();
        const { tell } = feed;
        const transport = timedTransport(nameOf("transport", carrier), carrier);
        const guard = new ReplayGuard<Reply>(clock);
        const upstream = createUpstream({ transport, guard, clock, log, signal: abort.signal, tell });
        const shared = { upstream, clock, log, tell };
        const front: GatewayParts["front"] = (since, section, sets) =>
          createFront({ ...shared, config: section, keySets: sets, since });
        const workers = new Workers({ ...shared, config, keySets });
        const transportUse = whole.transport;
        return new Gateway({
          config,
          keySets,
          transportUse,
          listens,
          front,
          workers,
          transport,
          clock,
          log,
          abort,
          feed,
          signal,
        });
      },
      [Services.Config, Services.Clock, Services.Logger, Services.Abort, Services.Transport],
    );
  });
  return await container.getAsync(GatewayId);
}

function sectionOf(config: ServerConfig, listens: boolean): GatewayConfig {
  const { gateway, source } = config;
  if (gateway === undefined) throw missingSection(config, "gateway");
  const foreign = gateway.tls !== undefined ? "tls" : gateway.workers > 1 ? "workers" : undefined;
  if (listens || foreign === undefined) return gateway;
  throw new WkfsError(
    "CONFIG_INVALID",
    `${source.locate(["gateway", foreign])}: gateway.${foreign} is for a gateway that listens itself, and this one is mounted`,
    { hint: "Take it out: encryption and processes are those of the web server that it is mounted in." },
  );
}
