import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type Server, type Socket, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GrantRequest, PluginContext, Transport } from "@wkfs/core";
import { testContext } from "@wkfs/core/testing";
import { configSchema } from "../src/config.ts";
import plugin from "../src/index.ts";

export const REQUEST: GrantRequest = { ip: "192.0.2.7", ports: [{ proto: "TCP", num: 22 }], time: 60 };

/** A transport as core makes it. */
export async function openTransport(
  path: string,
  settings: { readonly mode?: string; readonly group?: number | string } = {},
  parts: Partial<PluginContext> = {},
): Promise<Transport & AsyncDisposable> {
  const transport = await plugin.create(configSchema.parse({ path, ...settings }), testContext(parts));
  return Object.assign(transport, { [Symbol.asyncDispose]: () => transport.close() });
}

/** A folder of its own, mode 0700. */
export class Folder implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async create(): Promise<Folder> {
    return new Folder(await mkdtemp(join(tmpdir(), "unix-")));
  }

  in(name: string): string {
    return join(this.path, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true });
  }
}

/** A server on a socket that does with each piece it is sent what it is told to. */
export class RawServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(act: (socket: Socket, piece: Buffer) => void) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket.on("error", () => {}));
      socket.on("data", (piece) => act(socket, piece));
    });
  }

  static async open(path: string, act: (socket: Socket, piece: Buffer) => void): Promise<RawServer> {
    const server = new RawServer(act);
    server.#server.listen(path);
    await once(server.#server, "listening");
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server.close(), "close");
  }
}
