import { chmod, lstat, unlink } from "node:fs/promises";
import { type ListenOptions, connect } from "node:net";
import type { Server } from "restify";
import { WkfsError, messageOf } from "../model/errors.ts";

/** Milliseconds for requests under way to end when a web server stops. */
const DRAIN = 5000;

/** `127.0.0.1:8080`, `[::1]:8080` or `unix:/path` as the options of listening. */
export function listenOptions(listen: string): ListenOptions {
  if (listen.startsWith("unix:")) return { path: listen.slice(5) };
  const colon = listen.lastIndexOf(":");
  return { host: listen.slice(0, colon).replaceAll(/[[\]]/g, ""), port: Number(listen.slice(colon + 1)) };
}

/**
 * Resolves when the server listens, with `fd` on the socket that the service manager hands over; rejects with `HOST_UNSUPPORTED`. The
 * socket of a dead gateway is replaced.
 */
export async function listenOn(
  server: Server,
  { fd, ...options }: ListenOptions & { readonly fd?: number | undefined },
): Promise<void> {
  if (options.path !== undefined) await removeStaleSocket(options.path);
  const where = options.path ?? `${options.host}:${options.port}`;
  await new Promise<void>((resolve, reject) => {
    // restify hands on the errors of its server, and one that nobody listens to ends the process.
    server.once("error", (error: Error) =>
      reject(
        new WkfsError("HOST_UNSUPPORTED", `cannot listen on ${where}: ${messageOf(error)}`, {
          hint: "Another program has this address, or it is not this host's; change gateway.listen.",
          cause: error,
        }),
      ),
    );
    server.server.listen(fd === undefined ? options : { fd }, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
  const bound = server.server.address();
  if (fd !== undefined && typeof bound === "object" && bound !== null && bound.port !== options.port) {
    server.close();
    throw new WkfsError("HOST_UNSUPPORTED", `the service manager listens on port ${bound.port}, not on ${where}`, {
      hint: "Its socket is that of a former configuration: `wkfs service install`, then `systemctl daemon-reload` and a restart.",
    });
  }
  // The web server in front reaches it through its group; everybody else must not.
  if (options.path !== undefined) await chmod(options.path, 0o660);
}

/** Takes no further connection, lets answers under way be written for a while, and ends. */
export async function drain({ server }: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const impatient = setTimeout(() => server.closeAllConnections(), DRAIN);
  await closed;
  clearTimeout(impatient);
}

/** Removes the socket of a gateway that died; one that somebody answers on is left alone. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || !found.isSocket()) return;
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => resolve(true));
    probe.once("error", () => resolve(false));
    probe.once("close", () => resolve(false));
    probe.setTimeout(1000, () => probe.destroy());
    probe.once("connect", () => probe.destroy());
  });
  if (!alive) await unlink(path);
}
