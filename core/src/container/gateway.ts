/** Composition of the gateway: `@wkfs/core/gateway`. Loads nothing of the daemon. */
import { readKeys } from "../config/index.ts";
import { createFront } from "../gateway/front.ts";
import { Gateway } from "../gateway/gateway.ts";
import { ReplayGuard } from "../gateway/replay-guard.ts";
import { type Reply, createUpstream } from "../gateway/upstream.ts";
import { Workers } from "../gateway/workers.ts";
import { type RoleOptions, missingSection, roleContainer } from "./role.ts";
import { serviceId } from "./service-id.ts";
import { Services } from "./services.ts";

export type { Gateway } from "../gateway/gateway.ts";
export type { Status } from "../lifecycle/role.ts";
export type { RoleOptions } from "./role.ts";
export { Services } from "./services.ts";
export { serviceId } from "./service-id.ts";

const GatewayId = serviceId<Gateway>("Gateway");

/**
 * Assembles a gateway. Checks the transport's configuration and reads keys and secrets; does not listen before
 * `start`. Throws `CONFIG_INVALID`, `SECRET_INVALID`, `PLUGIN_INVALID`.
 */
export async function createGateway(options: RoleOptions): Promise<Gateway> {
  const container = await roleContainer(options, (core) => {
    core.bind(GatewayId).toResolvedValue(
      async (config, clock, log, abort, transport) => {
        const { gateway, keySets } = config;
        if (gateway === undefined) throw missingSection(config, "gateway");
        // Before anything else: keys that cannot be read are an error of the configuration.
        for (const set of keySets) await readKeys(set.keys);
        const guard = new ReplayGuard<Reply>(clock);
        const upstream = createUpstream({ transport, guard, log, signal: abort.signal });
        const shared = { config: gateway, keySets, upstream, clock, log };
        const serve = (since: number) => createFront({ ...shared, since });
        return new Gateway({ config: gateway, serve, workers: new Workers(shared), transport, clock, log, abort });
      },
      [Services.Config, Services.Clock, Services.Logger, Services.Abort, Services.Transport],
    );
  });
  return await container.getAsync(GatewayId);
}
