/**
 * The transport between a gateway and a daemon on one host, over TCP, authenticated by a secret that both
 * sides know. With the PHP program's front end or daemon at the other end it is as the PHP program has it:
 * one connection a request, JSON without framing. Between two of ours all requests share one connection;
 * `frames.ts` says how they find that out, and what is on it.
 *
 * What it does not give: the daemon does not prove who it is. While no daemon runs, any user of the
 * host can take the port and be told the secret; a port below 1024 keeps them off.
 */
import { API_VERSION, definePlugin } from "@wkfs/core";
import { configSchema } from "./config.ts";
import { checkSecret } from "./secret.ts";
import { LocalhostTcpTransport } from "./transport.ts";

export type { LocalhostTcpConfig } from "./config.ts";

export default definePlugin({
  name: "localhost-tcp",
  apiVersion: API_VERSION,
  kind: "transport",
  configSchema,
  async create(config, context) {
    const secret = checkSecret(await context.readSecret(config.secret), config.secret);
    return new LocalhostTcpTransport(config, secret, context);
  },
});
