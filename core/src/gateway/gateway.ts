import type { Server } from "restify";
import type { GatewayConfig } from "../config/index.ts";
import type { Clock, Logger } from "../contracts/plugin.ts";
import type { Transport } from "../contracts/transport.ts";
import { Role } from "../lifecycle/role.ts";
import { messageOf } from "../model/errors.ts";
import { drain, listenOn, listenOptions } from "./listening.ts";
import type { Workers } from "./workers.ts";

export interface GatewayParts {
  readonly config: GatewayConfig;
  /** Makes the web server; `since` is the first second whose requests it may take, since the epoch. */
  readonly serve: (since: number) => Promise<Server>;
  readonly workers: Workers;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Logger;
  readonly abort: AbortController;
}

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
    if (typeof bound !== "object" || bound === null) return this.#parts.config.listen;
    return bound.family === "IPv6" ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
  }

  /** Takes up to a second. */
  protected override async up(): Promise<void> {
    const { config, serve, workers, transport, log } = this.#parts;
    try {
      const since = await this.#fullSecond();
      const server = await serve(since);
      const options = listenOptions(config.listen);
      await listenOn(server, { ...options, reusePort: config.workers > 1 });
      this.#server = server;
      // An error after this is one of a connection.
      server.on("error", (error: Error) => log.warn({ error: messageOf(error) }, "the web server had an error"));
      const bound = server.server.address();
      if (config.workers > 1 && typeof bound === "object" && bound !== null)
        await workers.start(config.workers - 1, bound.address, bound.port, since);
      log.info({ listen: this.address, workers: config.workers, daemons: transport.addresses }, "ready");
    } catch (error) {
      if (this.#server !== undefined) await drain(this.#server);
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
    await Promise.all([this.#server && drain(this.#server), this.#parts.workers.stop()]);
    await this.#parts.transport.close();
    this.#parts.abort.abort();
    this.#parts.log.info({}, "stopped");
  }
}
