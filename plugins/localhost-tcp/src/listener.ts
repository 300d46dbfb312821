import { type AddressInfo, type Server, type Socket, createServer } from "node:net";
import { type Clock, type GrantHandler, type Logger, WkfsError, messageOf } from "@wkfs/core";
import { handedSocket } from "@wkfs/core/host";
import { type LocalhostTcpConfig, addressOf } from "./config.ts";
import { type Answer, Connection, type ConnectionTerms, type Phase } from "./connection.ts";
import { VERSION } from "./frames.ts";
import { CLOSE_GRACE, Links } from "./links.ts";
import { REFUSAL, member } from "./message.ts";
import { secretCheck } from "./secret.ts";
import type { ListeningSide } from "./transport.ts";

/** Refused peers are told of in the log once in this time, in milliseconds: anyone here can knock. */
const REFUSAL_PAUSE = 60_000;
/** The name of the socket that the service manager may have opened for us. */
const HANDED = "localhost-tcp";
/** Connections that the kernel holds ready: in a burst, who finds no place tries again after a second. */
const BACKLOG = 1024;

/** The daemon's side. */
export class Listener implements ListeningSide {
  readonly #config: LocalhostTcpConfig;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #isSecret: (value: unknown) => boolean;
  readonly #terms: ConnectionTerms;
  /** In the order of their coming. */
  readonly #connections = new Set<Connection>();
  readonly #links: Links;
  readonly #server: Server;
  #refused = { count: 0, toldAt: Number.NEGATIVE_INFINITY };

  constructor(
    config: LocalhostTcpConfig,
    secret: string,
    context: { readonly clock: Clock; readonly log: Logger },
    handler: GrantHandler,
  ) {
    this.#config = config;
    this.#clock = context.clock;
    this.#log = context.log;
    this.#isSecret = secretCheck(secret);
    this.#links = new Links(config, context, handler);
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
    this.#terms = {
      clock: context.clock,
      maxMessage: config.maxMessage,
      requestTime: config.idleTimeout * 1000,
      answerTime: config.replyTimeout * 1000,
      answer: (message) => this.#answer(message),
      gone: (connection, reason) => {
        this.#connections.delete(connection);
        if (reason !== undefined) this.#log.debug({ reason }, "a peer was dropped");
      },
    };
  }

  /**
   * Resolves with the address when peers can connect. Throws `TRANSPORT_FAILED`. Where the service manager hands the socket over, this
   * process needs no right to make one, nor one for a low port.
   */
  async open(): Promise<string> {
    const { host, port } = this.#config;
    const listening = Promise.withResolvers<void>();
    this.#server.once("error", listening.reject);
    const fd = handedSocket(HANDED);
    if (fd === undefined) this.#server.listen({ host, port, backlog: BACKLOG, exclusive: true }, listening.resolve);
    else this.#server.listen({ fd, exclusive: true }, BACKLOG, listening.resolve);
    try {
      await listening.promise;
    } catch (cause) {
      throw new WkfsError("TRANSPORT_FAILED", `cannot listen on ${host} port ${port}: ${messageOf(cause)}`, {
        hint: "See with `ss -tanp` who has the port; stop that, or give gateway and daemon another transport port.",
        cause,
      });
    }
    this.#server.off("error", listening.reject);
    this.#server.on("error", (error) => this.#log.error({ error: error.message }, "cannot take connections"));
    const address = this.#server.address() as AddressInfo;
    if (fd !== undefined && (address.address !== host || address.port !== port)) {
      this.#server.close();
      const other = addressOf(address.address, address.port);
      throw new WkfsError(
        "TRANSPORT_FAILED",
        `the service manager listens on ${other}, not on ${addressOf(host, port)}`,
        {
          hint: "Its socket is that of a former configuration: `wkfs service install`, then `systemctl daemon-reload` and a restart.",
        },
      );
    }
    return addressOf(host, address.port);
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const stopped = Promise.withResolvers<void>();
    this.#server.close(() => stopped.resolve());
    for (const connection of this.#connections) {
      if (connection.phase !== "answering") connection.drop("the daemon stops");
    }
    const lift = this.#clock.setTimer(CLOSE_GRACE, () => {
      for (const connection of this.#connections) connection.drop("the daemon stops and can wait no longer");
    });
    await Promise.all([this.#links.close(), stopped.promise]);
    lift();
  }

  #accept(socket: Socket): void {
    if (this.#connections.size >= this.#config.maxConnections) {
      // Who is done needs nothing more; else who has not said anything whole for the longest time. A
      // gateway's request is whole within milliseconds, so idle connections cannot keep it out.
      const victim = this.#oldest("done") ?? this.#oldest("reading");
      if (victim === undefined) {
        socket.on("error", () => {});
        socket.destroy();
        this.#log.warn({ connections: this.#connections.size }, "too many requests at a time: one was not taken");
        return;
      }
      victim.drop("made room for another");
    }
    this.#connections.add(new Connection(socket, this.#terms));
  }

  #oldest(phase: Phase): Connection | undefined {
    for (const connection of this.#connections) if (connection.phase === phase) return connection;
    return undefined;
  }

  #answer(message: object): Answer {
    if (!this.#isSecret(member(message, "secret"))) {
      this.#tellRefusal();
      return { refusal: REFUSAL };
    }
    // A gateway that has to do without frames has its answer all the same.
    if (member(message, "frames") !== VERSION || this.#links.full) return { reply: this.#links.reply(message) };
    return { takeOver: (socket) => this.#links.add(socket).first(message) };
  }

  #tellRefusal(): void {
    this.#refused.count += 1;
    const now = this.#clock.now();
    if (now - this.#refused.toldAt < REFUSAL_PAUSE) return;
    this.#log.warn(
      { refused: this.#refused.count },
      "refused a request without our secret; if it was your gateway's, give both the same secret file",
    );
    this.#refused = { count: 0, toldAt: now };
  }
}
