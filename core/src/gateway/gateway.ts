import type { Server as TlsServer } from "node:tls";
import type { Server } from "restify";
import type { GatewayConfig, KeySet, PluginUse, ServerConfig } from "../config/index.ts";
import type { Clock, Logger } from "../contracts/plugin.ts";
import type { Transport } from "../contracts/transport.ts";
import type { Feed } from "../lifecycle/feed.ts";
import { handedSocket } from "../host/handed-socket.ts";
import { Role, spent } from "../lifecycle/role.ts";
import { messageOf } from "../model/errors.ts";
import type { GatewayEvent } from "./event.ts";
import { drain, listenOn, listenOptions } from "./listening.ts";
import { type GatewayHandler, Mount } from "./mount.ts";
import { reloadable } from "./reload.ts";
import type { Requests } from "./requests.ts";
import type { Workers } from "./workers.ts";

export interface GatewayParts {
  readonly config: GatewayConfig;
  /** Whether it has a web server of its own. */
  readonly listens: boolean;
  readonly keySets: readonly KeySet[];
  /** The sections that a reload leaves as they are, to be compared. */
  readonly transportUse: PluginUse | undefined;
  /** Makes what answers requests; `since` is the first second whose requests it may take, since the epoch. */
  readonly front: (since: number, config: GatewayConfig, keySets: readonly KeySet[]) => Promise<Requests>;
  readonly workers: Workers;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Logger;
  readonly abort: AbortController;
  readonly feed: Feed<GatewayEvent>;
  readonly signal: AbortSignal | undefined;
}

/**
 * The web half: takes knocks over HTTP(S) and passes them to the daemon. Started once, stopped once. Events: `answered`,
 * `failed`, `refused`, those of all its worker processes.
 */
export class Gateway extends Role<GatewayEvent> {
  readonly #parts: GatewayParts;
  readonly #mount = new Mount();
  #server: Server | undefined;
  #since = 0;
  #requests: Requests | undefined;

  /** @internal */
  constructor(parts: GatewayParts) {
    super(parts.signal);
    this.#parts = parts;
    parts.feed.follow((event) => this.tell(event));
  }

  /** Where it listens: `127.0.0.1:8080`, `[::1]:8080` or `unix:/path`; once started, with the real port. Undefined where it does not. */
  get address(): string | undefined {
    const { config, listens } = this.#parts;
    if (!listens) return undefined;
    const bound = this.#server?.server.address();
    if (typeof bound !== "object" || bound === null) return config.listen;
    return bound.family === "IPv6" ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
  }

  /**
   * Answers requests of a web server that is not the gateway's own; 503 while it does not run. Checks, limits and the
   * trusted proxies are the same. `gateway.path` is compared with the path that the handler is given and with the one
   * that the client sent (`originalUrl`). Mount it before whatever reads bodies. Bound: hand it on as it is.
   */
  get handler(): GatewayHandler {
    return this.#mount.handler;
  }

  /** Takes up to a second. @internal */
  protected override async up(): Promise<void> {
    const { front, listens, transport, log, config, keySets } = this.#parts;
    try {
      // What listening needs is read while we wait.
      const [since, http] = await Promise.all([this.#fullSecond(), listens ? import("./http.ts") : undefined]);
      this.#since = since;
      this.#answerWith(await front(since, config, keySets));
      if (http !== undefined) await this.#listen(await http.createHttpServer(config, () => this.#requests!), since);
      log.info({ listen: this.address, workers: this.#parts.config.workers, daemons: transport.addresses }, "ready");
    } catch (error) {
      await this.#close();
      throw error;
    }
  }

  /**
   * Takes keys, path, trusted proxies and the certificate from this configuration, at once and without turning a request away. What
   * was seen of requests stays seen. Rejects with `CONFIG_INVALID` or `SECRET_INVALID`, and then nothing has changed: also where
   * `listen`, `workers`, `transport` or whether there is TLS differ, which need a restart. `STATE_INVALID` unless it runs.
   */
  async reload(next: ServerConfig): Promise<void> {
    const { config, listens, front, workers } = this.#parts;
    if (this.status !== "running") throw spent("it does not run");
    const gateway = reloadable(config, this.#parts.transportUse, next);
    const requests = await front(this.#since, gateway, next.keySets);
    if (listens && gateway.tls !== undefined) {
      const { tlsOf } = await import("./http.ts");
      (this.#server!.server as TlsServer).setSecureContext(await tlsOf(gateway.tls));
    }
    await workers.reload(gateway, next.keySets);
    this.#answerWith(requests);
  }

  #answerWith(requests: Requests): void {
    this.#requests = requests;
    this.#mount.open(requests);
  }

  async #listen(server: Server, since: number): Promise<void> {
    const { config, workers, log } = this.#parts;
    const options = listenOptions(config.listen);
    // Several processes of one address each make their own.
    const fd = config.workers === 1 ? handedSocket("gateway") : undefined;
    await listenOn(server, { ...options, reusePort: config.workers > 1, fd });
    this.#server = server;
    // An error after this is one of a connection.
    server.on("error", (error: Error) => log.warn({ error: messageOf(error) }, "the web server had an error"));
    const bound = server.server.address();
    if (config.workers > 1 && typeof bound === "object" && bound !== null)
      await workers.start(config.workers - 1, bound.address, bound.port, since);
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

  /** @internal */
  protected override async down(): Promise<void> {
    await this.#close();
    this.#parts.log.info({}, "stopped");
  }

  async #close(): Promise<void> {
    const { workers, transport, abort } = this.#parts;
    await Promise.all([this.#server && drain(this.#server), this.#mount.close(), workers.stop()]);
    await transport.close();
    abort.abort();
  }
}
