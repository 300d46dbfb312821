import { once } from "node:events";
import { type AddressInfo, type Server, type Socket, createServer } from "node:net";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";

/** A mail as a server took it over: its text is what came after DATA. */
export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
  readonly encrypted: boolean;
  readonly user: string | undefined;
}

/** A mail server on a port of its own that keeps what it takes over. */
export class MailServer implements AsyncDisposable {
  readonly mails: Mail[] = [];
  readonly #server: SMTPServer;
  #port = 0;

  private constructor(options: SMTPServerOptions) {
    this.#server = new SMTPServer({
      closeTimeout: 50,
      disableReverseLookup: true,
      onData: (stream, session, callback) => {
        const { mailFrom, rcptTo } = session.envelope;
        const chunks: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("end", () => {
          this.mails.push({
            from: mailFrom === false ? "" : mailFrom.address,
            to: rcptTo.map(({ address }) => address),
            text: Buffer.concat(chunks).toString(),
            encrypted: session.secure,
            user: session.user,
          });
          callback();
        });
      },
      ...options,
    });
    // Clients that break off are part of the tests.
    this.#server.on("error", () => {});
  }

  static async start(options: SMTPServerOptions, host = "127.0.0.1"): Promise<MailServer> {
    const server = new MailServer(options);
    const listener = server.#server.listen(0, host);
    await once(listener, "listening");
    server.#port = portOf(listener);
    return server;
  }

  get port(): number {
    return this.#port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(resolve));
  }
}

/** A server that takes connections and says what it is told to say, which may be nothing. */
export class RawServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  private constructor(onConnection: (socket: Socket) => void) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#sockets.delete(socket));
      socket.resume();
      onConnection(socket);
    });
  }

  static async start(onConnection: (socket: Socket) => void): Promise<RawServer> {
    const server = new RawServer(onConnection);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    server.#port = portOf(server.#server);
    return server;
  }

  get port(): number {
    return this.#port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = await RawServer.start(() => {});
  const { port } = server;
  await server[Symbol.asyncDispose]();
  return port;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
