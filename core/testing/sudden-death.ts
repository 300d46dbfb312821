import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import type { Server, Socket } from "node:net";

/**
 * Ends servers of this process as a kill of theirs would: to their peers it looks the same, since the kernel
 * closes the connections of a dead process. It knows those that began to listen since it was made.
 */
export class SuddenDeath implements Disposable {
  readonly #servers = new Set<Server>();
  readonly #sockets = new Set<Socket>();

  constructor() {
    subscribe("tracing:net.server.listen:asyncEnd", this.#listening);
    subscribe("net.server.socket", this.#accepted);
  }

  /** Resolves when the connections are gone and the places free. */
  async strike(): Promise<void> {
    const closed = Array.from(this.#servers, (server) =>
      server.listening ? once(server.close(), "close") : undefined,
    );
    for (const socket of this.#sockets) socket.destroy();
    this.#servers.clear();
    await Promise.all(closed);
  }

  [Symbol.dispose](): void {
    unsubscribe("tracing:net.server.listen:asyncEnd", this.#listening);
    unsubscribe("net.server.socket", this.#accepted);
  }

  readonly #listening = (message: unknown) => {
    this.#servers.add((message as { readonly server: Server }).server);
  };

  readonly #accepted = (message: unknown) => {
    const { socket } = message as { readonly socket: Socket };
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  };
}
