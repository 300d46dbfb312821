import { chmod, lstat, unlink } from "node:fs/promises";
import { connect } from "node:net";
import type { Server } from "restify";
import type { Clock, Logger } from "../contracts/plugin.ts";
import type { Transport } from "../contracts/transport.ts";
import { Role } from "../lifecycle/role.ts";
import { WkfsError, messageOf } from "../model/errors.ts";

export interface GatewayParts {
  readonly listen: string;
  /** Makes the web server; `since` is the first second whose requests it may take, since the epoch. */
  readonly serve: (since: number) => Promise<Server>;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Logger;
  readonly abort: AbortController;
}

/** Milliseconds for requests under way to end when the gateway stops. */
const DRAIN = 5000;

/** The web half: takes knocks over HTTP(S) and passes them to the daemon. Started once, stopped once. */
export class Gateway extends Role {
  readonly #parts: GatewayParts;
  #server: Server | undefined;

  constructor(parts: GatewayParts) {
    super();
    this.#parts = parts;
  }

  /** Where it listens: `127.0.0.1:8080`, `[::1]:8080` or `unix:/path`; once started, with the real port. */
  get address(): string {
    const bound = this.#server?.server.address();
    if (typeof bound !== "object" || bound === null) return this.#parts.listen;
    return bound.family === "IPv6" ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
  }

  /** Takes up to a second. */
  protected override async up(): Promise<void> {
    const { listen, serve, transport, log } = this.#parts;
    try {
      const server = await serve(await this.#fullSecond());
      this.#server = server;
      await bind(server, listen);
      // An error after this is one of a connection.
      server.on("error", (error: Error) => log.warn({ error: messageOf(error) }, "the web server had an error"));
      log.info({ listen: this.address, daemons: transport.addresses }, "ready");
    } catch (error) {
      await transport.close();
      this.#parts.abort.abort();
      throw error;
    }
  }

  /**
   * Waits for a second to begin, and gives it. A request's time is in whole seconds: when we begin with a second, no
   * request of it or later can have been taken by the gateway that ran here before, so none can be a replay
   * of that time, and no honest one has to be refused.
   */
  async #fullSecond(): Promise<number> {
    const { clock } = this.#parts;
    const second = Math.ceil(clock.now() / 1000);
    while (clock.now() < second * 1000) {
      await new Promise<void>((resolve) => clock.setTimer(second * 1000 - clock.now(), resolve));
    }
    return second;
  }

  protected override async down(): Promise<void> {
    const server = this.#server;
    if (server !== undefined) {
      const closed = new Promise<void>((resolve) => server.server.close(() => resolve()));
      server.server.closeIdleConnections();
      const impatient = setTimeout(() => server.server.closeAllConnections(), DRAIN);
      await closed;
      clearTimeout(impatient);
    }
    await this.#parts.transport.close();
    this.#parts.abort.abort();
    this.#parts.log.info({}, "stopped");
  }
}

async function bind(server: Server, listen: string): Promise<void> {
  const path = listen.startsWith("unix:") ? listen.slice(5) : undefined;
  if (path !== undefined) await removeStaleSocket(path);
  const colon = listen.lastIndexOf(":");
  const options =
    path === undefined
      ? { host: listen.slice(0, colon).replaceAll(/[[\]]/g, ""), port: Number(listen.slice(colon + 1)) }
      : { path };
  await new Promise<void>((resolve, reject) => {
    // restify hands on the errors of its server, and one that nobody listens to ends the process.
    server.once("error", (error: Error) =>
      reject(
        new WkfsError("HOST_UNSUPPORTED", `cannot listen on ${listen}: ${messageOf(error)}`, {
          hint: "Another program has this address, or it is not this host's; change gateway.listen.",
          cause: error,
        }),
      ),
    );
    server.server.listen(options, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
  // The web server in front reaches it through its group; everybody else must not.
  if (path !== undefined) await chmod(path, 0o660);
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
