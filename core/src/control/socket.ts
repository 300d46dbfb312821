import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { type Server, type Socket, createServer } from "node:net";
import { dirname } from "node:path";
import type { ControlConfig } from "../config/index.ts";
import type { Logger } from "../contracts/plugin.ts";
import { folderFault } from "../host/folder.ts";
import { groupId } from "../host/group.ts";
import { listenAt } from "../host/socket-place.ts";
import { WkfsError, isWkfsError, messageOf } from "../model/errors.ts";
import { Lines } from "./lines.ts";
import { type Answer, type Failure, LONGEST_REQUEST, type Operations, readRequest } from "./messages.ts";

/** Connections at a time, and requests under way on one. */
const MOST_CONNECTIONS = 32;
const MOST_REQUESTS = 16;
/** Bytes that wait for a peer that does not read: then items wait, and a peer that asked for no more loses the connection. */
const ROOM = 1_048_576;
/** Milliseconds in which a peer must read on. */
const PATIENCE = 30_000;

/**
 * The daemon's side of the control socket. Who may connect is the kernel's to say: the socket's owner and its group, since
 * with it every protected port can be opened and shut.
 */
export class ControlSocket {
  readonly #config: ControlConfig;
  #operations = Promise.withResolvers<Operations>();
  readonly #log: Logger;
  readonly #server: Server;
  readonly #peers = new Set<Socket>();
  readonly #stopped = new AbortController();
  #unname: (() => Promise<void>) | undefined;

  constructor(config: ControlConfig, log: Logger) {
    this.#config = config;
    this.#log = log;
    this.#server = createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = MOST_CONNECTIONS;
  }

  /** From now on these answer, also requests that wait. */
  serve(operations: Operations): void {
    this.#operations.resolve(operations);
  }

  /** From now on requests wait for the next `serve`. What is under way goes on. */
  suspend(): void {
    this.#operations = Promise.withResolvers();
  }

  /** Resolves when peers can connect. Rejects with `HOST_UNSUPPORTED` or `CONFIG_INVALID`. Idempotent. */
  async open(): Promise<void> {
    if (this.#server.listening) return;
    const { path, group } = this.#config;
    try {
      const gid = group === undefined ? undefined : await groupId(group);
      // Below /run nothing survives a reboot.
      await mkdir(dirname(path), { recursive: true, mode: 0o755 });
      const fault = await folderFault(dirname(path), [process.geteuid?.() ?? 0]);
      if (fault !== undefined) throw new Error(`it could be replaced, since ${fault}`);
      this.#unname = await listenAt(this.#server, { path, mode: 0o660, gid });
    } catch (error) {
      if (isWkfsError(error, "CONFIG_INVALID")) throw error;
      throw new WkfsError("HOST_UNSUPPORTED", `cannot listen on the control socket ${path}: ${messageOf(error)}`, {
        hint:
          (isWkfsError(error) ? error.hint : undefined) ??
          "Let its folder belong to the daemon's user or to root, with mode 0755 (RuntimeDirectory= of systemd makes such a one), or name another with control.path.",
        cause: error,
      });
    }
    this.#server.on("error", (error) => this.#log.error({ error: error.message }, "the control socket had an error"));
  }

  /** Calls off what is under way. Idempotent. */
  async close(): Promise<void> {
    this.#stopped.abort();
    await this.#unname?.();
    this.#unname = undefined;
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const peer of this.#peers) peer.destroySoon();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#peers.add(socket);
    const gone = new AbortController();
    const signal = AbortSignal.any([gone.signal, this.#stopped.signal]);
    const lines = new Lines(LONGEST_REQUEST);
    let underWay = 0;
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      this.#peers.delete(socket);
      gone.abort();
    });
    socket.on("data", (piece: Buffer) => {
      const whole = lines.take(piece);
      if (whole === undefined) return socket.destroy();
      for (const line of whole) {
        underWay += 1;
        if (underWay > MOST_REQUESTS) return socket.destroy();
        void this.#answer(line, socket, signal).finally(() => (underWay -= 1));
      }
    });
  }

  async #answer(line: string, socket: Socket, signal: AbortSignal): Promise<void> {
    const write = (answer: Answer): void => {
      if (socket.writable) socket.write(`${JSON.stringify(answer)}\n`);
    };
    const request = readRequest(line);
    if (request === undefined) {
      socket.end();
      return;
    }
    const { id, op, args } = request;
    try {
      const operations = await unlessGone(this.#operations.promise, signal);
      const operation = Object.hasOwn(operations, op) ? operations[op] : undefined;
      if (operation === undefined) throw unknown(op, Object.keys(operations));
      const send = async (item: unknown): Promise<void> => {
        signal.throwIfAborted();
        write({ id, item });
        if (socket.writableLength > ROOM) await drained(socket, signal);
      };
      write({ id, result: (await operation(args, send, signal)) ?? {} });
    } catch (error) {
      if (!isWkfsError(error) && !signal.aborted)
        this.#log.error({ op, error: messageOf(error) }, "a request over the control socket failed");
      write({ id, error: failureOf(error) });
    }
  }
}

/** As the promise goes; rejects when nobody waits for it any more. */
function unlessGone<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(signal.reason as Error);
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}

async function drained(socket: Socket, signal: AbortSignal): Promise<void> {
  const patience = AbortSignal.timeout(PATIENCE);
  try {
    await once(socket, "drain", { signal: AbortSignal.any([signal, patience]) });
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function unknown(op: string, known: readonly string[]): WkfsError {
  return new WkfsError("CONTROL_FAILED", `the daemon knows no operation ${JSON.stringify(op.slice(0, 100))}`, {
    hint: `It knows: ${known.join(", ")}. Use the wkfs command of the same version as the daemon.`,
  });
}

function failureOf(error: unknown): Failure {
  if (isWkfsError(error)) return { code: error.code, message: error.message, hint: error.hint };
  return { code: "CONTROL_FAILED", message: messageOf(error), hint: "Look into the log of the daemon." };
}
