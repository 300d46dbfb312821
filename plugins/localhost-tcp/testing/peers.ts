import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type AddressInfo, type Server, type Socket, connect, createServer } from "node:net";
import type { GrantRequest, PluginContext, Transport } from "@wkfs/core";
import { testContext } from "@wkfs/core/testing";
import { type LocalhostTcpConfig, configSchema } from "../src/config.ts";
import plugin from "../src/index.ts";

export const SECRET = "0123456789abcdef".repeat(5);
export const REQUEST: GrantRequest = { ip: "192.0.2.7", ports: [{ proto: "TCP", num: 22 }], time: 60 };
export const REFUSAL = '{"success":false,"error":"Missing \'secret\'.","errorcode":"missing_secret"}';

export type TestTransport = Transport & AsyncDisposable & { readonly port: number };

/** A transport as core makes it; with no port given it listens on one that the kernel picks. */
export async function openTransport(
  settings: Partial<LocalhostTcpConfig> = {},
  parts: Partial<PluginContext> & { readonly secret?: string } = {},
): Promise<TestTransport> {
  const { secret = SECRET, ...context } = parts;
  const config = { ...configSchema.parse({ secret: "transport.secret" }), port: 0, ...settings };
  const transport = await plugin.create(config, testContext({ readSecret: async () => secret, ...context }));
  return {
    get addresses() {
      return transport.addresses;
    },
    get port() {
      return Number(/\d+$/.exec(transport.addresses[0]!)?.[0]);
    },
    listen: (handler) => transport.listen(handler),
    call: (request, signal) => transport.call(request, signal),
    close: () => transport.close(),
    [Symbol.asyncDispose]: () => transport.close(),
  };
}

/** A daemon's side that listens and answers everything alike; `seen` has the requests that reached it. */
export async function openDaemon(
  settings: Partial<LocalhostTcpConfig> = {},
  parts: Partial<PluginContext> & { readonly reply?: () => Promise<string> } = {},
): Promise<TestTransport & { readonly seen: readonly GrantRequest[] }> {
  const { reply = async () => '{"success":true}', ...context } = parts;
  const seen: GrantRequest[] = [];
  const transport = await openTransport(settings, context);
  await transport.listen((request) => {
    seen.push(request);
    return reply();
  });
  return Object.assign(transport, { seen });
}

/** The text of a request as the PHP program's front end writes it. */
export function requestText(members: object = { secret: SECRET, ...REQUEST }): string {
  return JSON.stringify(members);
}

/** What a connection gave until its end; `error` has the code when it was reset. */
export interface Ending {
  readonly text: string;
  readonly error?: string;
}

/** A socket of a front end, with nothing of ours in it. */
export class RawPeer implements AsyncDisposable {
  readonly socket: Socket;
  readonly ending: Promise<Ending>;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.ending = new Promise((resolve) => {
      let text = "";
      let error: string | undefined;
      socket.setEncoding("utf8").on("data", (piece) => void (text += piece));
      socket.on("error", (reason: NodeJS.ErrnoException) => void (error = reason.code ?? reason.message));
      socket.on("close", () => resolve(error === undefined ? { text } : { text, error }));
    });
  }

  static async connect(port: number, host = "127.0.0.1"): Promise<RawPeer> {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    await once(socket, "connect");
    const peer = new RawPeer(socket);
    // Closes, as PHP does, when it has read to the end, and not before.
    socket.once("end", () => socket.end());
    return peer;
  }

  /** Writes pieces, each when the last has left this process. */
  async write(...pieces: (string | Uint8Array)[]): Promise<this> {
    for (const piece of pieces) {
      await new Promise<void>((resolve) => this.socket.write(piece, () => resolve()));
    }
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.ending;
  }
}

/** Sends one message as the PHP program's front end does and reads to the end. */
export async function exchangeRaw(port: number, ...pieces: (string | Uint8Array)[]): Promise<Ending> {
  await using peer = await RawPeer.connect(port);
  await peer.write(...pieces);
  return await peer.ending;
}

/** A daemon that does with every connection what it is told to; `received` has what all of them said. */
export class RawDaemon implements AsyncDisposable {
  readonly port: number;
  received = "";
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(server: Server, sockets: Set<Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    this.port = (server.address() as AddressInfo).port;
  }

  /** `act` is called with what came so far, each time something comes. */
  static async open(act: (socket: Socket, text: string) => void, port = 0): Promise<RawDaemon> {
    const sockets = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      let text = "";
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
      socket.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
        daemon.received += piece;
        act(socket, text);
      });
    });
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    const daemon = new RawDaemon(server, sockets);
    return daemon;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** A port on which nobody listens. */
export async function freePort(): Promise<number> {
  await using daemon = await RawDaemon.open(() => {});
  return daemon.port;
}

export interface RecordedExchange {
  readonly request: string;
  readonly response: string;
}

/** What was recorded between the two halves of the PHP program on 127.0.0.1. */
export async function recordedExchanges(): Promise<readonly RecordedExchange[]> {
  const file = new URL("../../../test/data/v1-exchanges.json", import.meta.url);
  const recorded = JSON.parse(await readFile(file, "utf8")) as {
    readonly exchanges: readonly (RecordedExchange & { readonly kind: string })[];
  };
  return recorded.exchanges.filter(({ kind }) => kind === "localhost");
}
