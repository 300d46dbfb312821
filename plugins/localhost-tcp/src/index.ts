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
import { Caller } from "./caller.ts";
import { addressOf, configSchema } from "./config.ts";
import { Listener } from "./listener.ts";
import { checkSecret } from "./secret.ts";
import { SocketTransport } from "./transport.ts";

export type { LocalhostTcpConfig } from "./config.ts";
// What another transport over sockets is made of, such as `@wkfs/unix-socket`.
export { CallingLink } from "./calling-link.ts";
export { PREFACE } from "./frames.ts";
export { Links } from "./links.ts";
export { formatRequest } from "./message.ts";
export { type CallingSide, type ListeningSide, SocketTransport } from "./transport.ts";

export default definePlugin({
  name: "localhost-tcp",
  apiVersion: API_VERSION,
  kind: "transport",
  configSchema,
  async create(config, context) {
    const secret = checkSecret(await context.readSecret(config.secret), config.secret);
    return new SocketTransport(
      addressOf(config.host, config.port),
      new Caller(config, secret, context.clock),
      (handler) => new Listener(config, secret, context, handler),
    );
  },
});
