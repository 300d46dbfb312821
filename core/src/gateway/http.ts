import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { pino } from "pino";
import restify from "restify";
import { type GatewayConfig, readSecret } from "../config/index.ts";
import type { Logger } from "../contracts/plugin.ts";
import { messageOf } from "../model/errors.ts";
import type { ClientAddresses } from "./client-address.ts";
import { readBody } from "./form.ts";
import type { Answer, Knocks } from "./knocks.ts";

/** Milliseconds for the head and for the whole of a request, and between two on one connection. */
const HEAD_LIMIT = 10_000;
const REQUEST_LIMIT = 20_000;
const KEEP_ALIVE = 5000;
const MOST_CONNECTIONS = 2048;
/** Milliseconds that a refused sender has to read why, while nothing more is read of it. */
const LAST_WORD = 1000;
const HTML = "text/html; charset=UTF-8";

/** What restify has and its published types lack: a handler before everything else; false ends the request there. */
interface WithFirst extends restify.Server {
  first(handler: (request: IncomingMessage, response: ServerResponse) => boolean): void;
}

/** The web server: one path, one method. What goes out is what PHP's front end would send. */
export async function createHttpServer(
  config: GatewayConfig,
  knocks: Knocks,
  addresses: ClientAddresses,
  log: Logger,
): Promise<restify.Server> {
  const tls = config.tls && { cert: await readFile(config.tls.cert), key: await readSecret(config.tls.key) };
  const server = restify.createServer({
    // No `Server:` header: who scans the host shall not read what is behind it.
    name: "",
    // restify's own lines would go to standard output. It takes a pino; its published types are of its bunyan days.
    log: pino({ level: "silent" }) as unknown as NonNullable<restify.ServerOptions["log"]>,
    ...(tls && { httpsServerOptions: { ...tls, minVersion: "TLSv1.2" } }),
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
    const ours = pathOf(request.url ?? "") === config.path;
    // Another method is PHP's 400.
    if (!ours || request.method !== "POST") {
      send(response, ours ? 400 : 404, "");
      return false;
    }
    request.url = config.path;
    request.headers.host = "localhost";
    return true;
  });

  server.post(config.path, (request, response, next) => {
    void answer(request, response)
      .catch((error: unknown) => {
        log.error({ error: messageOf(error) }, "a request failed in an unforeseen way");
        if (!response.headersSent) send(response, 500, "");
      })
      .finally(() => next(false));
  });

  async function answer(request: restify.Request, response: restify.Response): Promise<void> {
    let body: Buffer | undefined;
    try {
      body = await readBody(request);
    } catch {
      return; // The sender broke off; there is nobody to answer.
    }
    if (body === undefined) return refuseUnread(response);
    const forwarded = request.headers["x-forwarded-for"];
    const peer = request.socket.remoteAddress;
    const address = () => addresses.of(peer, Array.isArray(forwarded) ? forwarded.join(",") : forwarded);
    deliver(response, await knocks.answer(request.headers["content-type"], body, address));
  }

  // What goes wrong inside restify; what our handler throws does not get here.
  server.on("restifyError", (_request: restify.Request, response: restify.Response, error: Error, done: () => void) => {
    log.error({ error: messageOf(error) }, "a request failed in an unforeseen way");
    response.sendRaw(500, "");
    done();
  });
  // With a listener of restify's in place, Node leaves these to us.
  server.on("clientError", (_error: Error, socket: import("node:net").Socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  return server;
}

/** The path of a request's target in origin or absolute form, as it is written. RFC 9112, section 3.2. */
function pathOf(target: string): string {
  return target.replace(/^https?:\/\/[^/?#]*/i, "").replace(/[?#].*$/s, "");
}

function deliver(response: ServerResponse, answer: Answer): void {
  if (answer.status !== 200) return send(response, answer.status, answer.text);
  response.writeHead(200, { "Content-Type": "application/octet-stream", "Content-Length": answer.packet.length });
  response.end(answer.packet);
}

function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "Content-Type": HTML, "Content-Length": Buffer.byteLength(text) });
  response.end(text);
}

/**
 * Answers a body that is too large without reading the rest of it. Node's own end of a response would read it on, or
 * reset the connection before the answer is read; so the answer goes to the socket, which closes soon after.
 */
function refuseUnread(response: ServerResponse): void {
  const { socket } = response;
  if (socket === null) return;
  socket.pause();
  socket.end("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  setTimeout(() => socket.destroy(), LAST_WORD).unref();
}
