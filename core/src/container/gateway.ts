/** Composition of the gateway: `@wkfs/core/gateway`. Loads nothing of the daemon. */
import { readKeys } from "../config/index.ts";
import { ClientAddresses } from "../gateway/client-address.ts";
import { Gateway } from "../gateway/gateway.ts";
import { createHttpServer } from "../gateway/http.ts";
import { type Answer, type ClientKeys, Knocks } from "../gateway/knocks.ts";
import { RefusalLog } from "../lifecycle/refusal-log.ts";
import { ReplayGuard } from "../gateway/replay-guard.ts";
import { createV1Codec } from "../protocol/v1.ts";
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
        const keys: ClientKeys[] = [];
        for (const set of keySets) keys.push({ set, codec: createV1Codec(await readKeys(set.keys)) });
        const addresses = new ClientAddresses(gateway.trustedProxies);
        const refusals = new RefusalLog(log, clock);
        const serve = (since: number) => {
          const guard = new ReplayGuard<Answer>(clock, since);
          const knocks = new Knocks({ keys, transport, guard, clock, log, refusals, signal: abort.signal });
          return createHttpServer(gateway, knocks, addresses, log);
        };
        return new Gateway({ listen: gateway.listen, serve, transport, clock, log, abort });
      },
      [Services.Config, Services.Clock, Services.Logger, Services.Abort, Services.Transport],
    );
  });
  return await container.getAsync(GatewayId);
}
