import { isDeepStrictEqual } from "node:util";
import type { GatewayConfig, PluginUse, ServerConfig } from "../config/index.ts";
import { WkfsError } from "../model/errors.ts";

/**
 * The gateway's section of a new configuration. Throws `CONFIG_INVALID` when it cannot take the place of the old one while the gateway
 * runs: where it listens, and by how many processes, and how it speaks with the daemon.
 */
export function reloadable(
  before: GatewayConfig,
  transport: PluginUse | undefined,
  { gateway, transport: newTransport, source }: ServerConfig,
): GatewayConfig {
  const of = (use: PluginUse | undefined) => use && { use: use.use, config: use.config };
  const changed =
    gateway === undefined
      ? "gateway"
      : gateway.listen !== before.listen
        ? "gateway.listen"
        : gateway.workers !== before.workers
          ? "gateway.workers"
          : (gateway.tls === undefined) !== (before.tls === undefined)
            ? "gateway.tls"
            : isDeepStrictEqual(of(transport), of(newTransport))
              ? undefined
              : "transport";
  if (gateway !== undefined && changed === undefined) return gateway;
  throw new WkfsError(
    "CONFIG_INVALID",
    `${source.locate((changed ?? "gateway").split("."))}: a change of ${changed} needs a restart; the gateway goes on with what it had`,
    { hint: "Restart the gateway: it takes about a second, and leases stay open." },
  );
}
