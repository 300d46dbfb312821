// A visitor of the service, a program of its own that does what it is told by messages. It ends with its parent.
import { type Socket, connect } from "node:net";

/** What somebody asks the visitor to do. `id` names the connection. */
export type VisitorRequest =
  | {
      readonly connect: number;
      readonly from: string;
      readonly to: string;
      readonly port: number;
      readonly limit: number;
    }
  | { readonly say: number; readonly text: string; readonly limit: number };

export interface VisitorReply {
  readonly id: number;
  /** The line that the service wrote, or the code of the failure; `TIMEOUT` when nobody answered. */
  readonly line?: string;
  readonly error?: string;
  /** Milliseconds that it took. */
  readonly took: number;
}

/** Connects to the service as anybody would, from an address of its choice, and keeps what was accepted. */
class Visitor {
  readonly #sockets = new Map<number, Socket>();

  async do(request: VisitorRequest): Promise<VisitorReply> {
    const started = performance.now();
    const id = "connect" in request ? request.connect : request.say;
    const outcome = await ("connect" in request ? this.#connect(id, request) : this.#say(id, request)).then(
      (line) => ({ line }),
      (error: NodeJS.ErrnoException) => ({ error: error.code ?? error.message }),
    );
    return { id, ...outcome, took: performance.now() - started };
  }

  #connect(id: number, request: Extract<VisitorRequest, { connect: number }>): Promise<string> {
    const socket = connect({ host: request.to, port: request.port, localAddress: request.from });
    this.#sockets.set(id, socket);
    socket.setEncoding("utf8");
    return this.#line(socket, request.limit);
  }

  async #say(id: number, { text, limit }: Extract<VisitorRequest, { say: number }>): Promise<string> {
    const socket = this.#sockets.get(id);
    if (socket === undefined || socket.destroyed) throw Object.assign(new Error("it is closed"), { code: "CLOSED" });
    const line = this.#line(socket, limit);
    socket.write(`${text}\n`);
    return await line;
  }

  /** The next line; a connection that gives none in `limit` milliseconds is given up. */
  async #line(socket: Socket, limit: number): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const timer = setTimeout(() => reject(Object.assign(new Error("no answer"), { code: "TIMEOUT" })), limit);
    let text = "";
    const onData = (chunk: string) => {
      text += chunk;
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    };
    const onClose = () => reject(Object.assign(new Error("it was closed"), { code: "CLOSED" }));
    // Stays: an error that nobody listens for would end the process.
    socket.on("error", reject);
    socket.on("data", onData).on("close", onClose);
    try {
      return await promise;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
      socket.off("data", onData).off("close", onClose);
    }
  }
}

const visitor = new Visitor();
process.on("disconnect", () => process.exit());
process.on("message", (request: VisitorRequest) => {
  void visitor.do(request).then((reply) => process.send?.(reply));
});
process.send?.({ ready: true });
