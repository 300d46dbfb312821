import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { pino } from "pino";
import restify from "restify";
import { type GatewayConfig, readSecret } from "../config/index.ts";
import type { Requests } from "./requests.ts";

/** Milliseconds for the head and for the whole of a request, and between two on one connection. */
const HEAD_LIMIT = 10_000;
const REQUEST_LIMIT = 20_000;
const KEEP_ALIVE = 5000;
const MOST_CONNECTIONS = 2048;

/** What restify has and its published types lack: a handler before everything else; false ends the request there. */
interface WithFirst extends restify.Server {
  first(handler: (request: IncomingMessage, response: ServerResponse) => boolean): void;
}

/**
 * The web server of a gateway that listens itself. Imported when it does so: restify changes `ServerResponse` for the whole
 * process, which a program that only mounts a gateway need not bear.
 */
export async function createHttpServer(config: GatewayConfig, requestsNow: () => Requests): Promise<restify.Server> {
  const tls = config.tls && (await tlsOf(config.tls));
  const server = restify.createServer({
    // No `Server:` header: who scans the host shall not read what is behind it.
    name: "",
    // restify's own lines would go to standard output. It takes a pino; its published types are of its bunyan days.
    log: pino({ level: "silent" }) as unknown as NonNullable<restify.ServerOptions["log"]>,
    ...(tls && { httpsServerOptions: tls }),
  });
  const { server: http } = server;
  http.headersTimeout = HEAD_LIMIT;
  http.requestTimeout = REQUEST_LIMIT;
  http.keepAliveTimeout = KEEP_ALIVE;
  http.maxConnections = MOST_CONNECTIONS;

  // restify hangs into these, so that such a connection would be neither answered nor ended. Without it they are plain requests.
  http.removeAllListeners("upgrade");

  // restify reads target and Host with `new URL` outside of every handler: one that it does not understand would end the
  // process. So only our own path gets there, as a text that it does understand.
  (server as WithFirst).first((request, response) => {
    const requests = requestsNow();
    const ours = requests.areFor(request.url ?? "");
    if (!ours || request.method !== "POST") {
      requests.turnAway(response, ours);
      return false;
    }
    request.url = config.path;
    request.headers.host = "localhost";
    return true;
  });

  server.post(config.path, (request, response, next) => {
    void requestsNow()
      .answer(request, response)
      .finally(() => next(false));
  });

  // What goes wrong inside restify; what our handler throws does not get here.
  server.on("restifyError", (_request: restify.Request, response: restify.Response, error: Error, done: () => void) => {
    requestsNow().fail(response, error);
    done();
  });
  // With a listener of restify's in place, Node leaves these to us.
  server.on("clientError", (_error: Error, socket: import("node:net").Socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  return server;
}

/** Certificate and key as a server takes them, when it is made and when they have been renewed. */
export async function tlsOf({ cert, key }: NonNullable<GatewayConfig["tls"]>): Promise<{
  readonly cert: Buffer;
  readonly key: string;
  readonly minVersion: "TLSv1.2";
}> {
  return { cert: await readFile(cert), key: await readSecret(key), minVersion: "TLSv1.2" };
}
