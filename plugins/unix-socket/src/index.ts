/**
 * The transport between a gateway and a daemon on one host, over a Unix socket: the frames that
 * `@wkfs/localhost-tcp` describes, from the first byte on.
 *
 * There is no secret. The kernel lets only those connect who may write the socket: with mode 0660 its owner,
 * who is the daemon's user, and its group. That the daemon is who it should be, the folder says: nobody but
 * root and the daemon's user can put a socket there. Whoever is in the group can ask the daemon for every
 * port that it offers, for every address, so let only the gateway's user be in it.
 */
import { API_VERSION, definePlugin } from "@wkfs/core";
import { SocketTransport } from "@wkfs/localhost-tcp";
import { Caller } from "./caller.ts";
import { configSchema } from "./config.ts";
import { Listener } from "./listener.ts";

export type { UnixSocketConfig } from "./config.ts";

export default definePlugin({
  name: "unix-socket",
  apiVersion: API_VERSION,
  kind: "transport",
  configSchema,
  create: (config, context) =>
    new SocketTransport(
      `unix:${config.path}`,
      new Caller(config, context.clock),
      (handler) => new Listener(config, context, handler),
    ),
});
