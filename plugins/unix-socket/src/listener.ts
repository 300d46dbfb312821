import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { type Server, type Socket, createServer } from "node:net";
import { dirname } from "node:path";
import { type Clock, type GrantHandler, type Logger, WkfsError, isWkfsError, messageOf } from "@wkfs/core";
import { folderFault, groupId, listenAt } from "@wkfs/core/host";
import { Links, type ListeningSide } from "@wkfs/localhost-tcp";
import type { UnixSocketConfig } from "./config.ts";

/** Largest request in bytes. */
export const MAX_MESSAGE = 65_536;
/** How long the daemon may take for an answer, in seconds. */
export const REPLY_TIMEOUT = 60;
/** How long a peer may say nothing at first, or leave its answers lie, in seconds. */
const IDLE_TIMEOUT = 30;
/** The group of the gateway's user, as `wkfs service install` makes it. */
const GATEWAY_GROUP = "wkfs-gateway";
/** Connections at a time that have said nothing yet. */
const MAX_SILENT = 256;

/** The daemon's side. */
export class Listener implements ListeningSide {
  readonly #config: UnixSocketConfig;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #links: Links;
  readonly #server: Server;
  /** Those that have said nothing yet, in the order of their coming, with what drops them. */
  readonly #silent = new Map<Socket, () => void>();
  #unname: (() => Promise<void>) | undefined;

  constructor(
    config: UnixSocketConfig,
    context: { readonly clock: Clock; readonly log: Logger },
    handler: GrantHandler,
  ) {
    this.#config = config;
    this.#clock = context.clock;
    this.#log = context.log;
    const bounds = { maxMessage: MAX_MESSAGE, replyTimeout: REPLY_TIMEOUT, idleTimeout: IDLE_TIMEOUT };
    this.#links = new Links(bounds, context, handler);
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** Resolves with the address when peers can connect. Throws `TRANSPORT_FAILED`. */
  async open(): Promise<string> {
    const { path } = this.#config;
    try {
      // Below /run nothing survives a reboot.
      await mkdir(dirname(path), { recursive: true, mode: 0o755 });
      const fault = await folderFault(dirname(path), [process.geteuid?.() ?? 0]);
      if (fault !== undefined) throw new Error(`it could be replaced, since ${fault}`);
      await this.#listen();
    } catch (cause) {
      await this.close();
      const hint = isWkfsError(cause) ? cause.hint : undefined;
      throw new WkfsError("TRANSPORT_FAILED", `cannot listen on ${path}: ${messageOf(cause)}`, {
        hint: hint ?? "Let its folder be there and belong to the daemon's user or to root, with mode 0755.",
        cause,
      });
    }
    this.#server.on("error", (error) => this.#log.error({ error: error.message }, "cannot take connections"));
    return `unix:${path}`;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    // First the name, while nobody else can have taken it.
    await this.#unname?.();
    const stopped = once(this.#server.close(), "close");
    for (const drop of this.#silent.values()) drop();
    await Promise.all([this.#links.close(), stopped]);
  }

  async #listen(): Promise<void> {
    const { path, mode, group } = this.#config;
    const gid = group === undefined ? await gatewayGroup() : await groupId(group);
    this.#unname = await listenAt(this.#server, { path, mode, gid });
  }

  #accept(socket: Socket): void {
    if (this.#silent.size >= MAX_SILENT) this.#silent.values().next().value?.();
    const drop = () => socket.destroy();
    const lift = this.#clock.setTimer(IDLE_TIMEOUT * 1000, drop);
    const leave = () => {
      lift();
      this.#silent.delete(socket);
    };
    this.#silent.set(socket, drop);
    socket.on("error", drop);
    socket.once("close", leave);
    socket.once("data", (piece) => {
      leave();
      if (this.#links.full) {
        drop();
        this.#log.warn({}, "too many gateways at a time: one was not taken");
      } else this.#links.add(socket).take(piece);
    });
  }
}

/** Undefined where there is no such group, or it is not ours to give. */
async function gatewayGroup(): Promise<number | undefined> {
  const gid = await groupId(GATEWAY_GROUP).catch(() => undefined);
  if (gid === undefined || process.geteuid?.() === 0) return gid;
  return process.getgroups?.().includes(gid) === true ? gid : undefined;
}
