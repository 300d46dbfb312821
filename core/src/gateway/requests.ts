import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "../contracts/plugin.ts";
import { isWkfsError, messageOf } from "../model/errors.ts";
import type { ClientAddresses } from "./client-address.ts";
import { readBody } from "./form.ts";
import type { Answer, Knocks } from "./knocks.ts";

/** Milliseconds that a refused sender has to read why, while nothing more is read of it. */
const LAST_WORD = 1000;
const HTML = "text/html; charset=UTF-8";

/**
 * Requests over HTTP and their answers, whichever web server they came to: one path, one method. What goes out is what
 * PHP's front end would send.
 */
export class Requests {
  readonly #path: string;
  readonly #knocks: Knocks;
  readonly #addresses: ClientAddresses;
  readonly #log: Logger;

  constructor(path: string, knocks: Knocks, addresses: ClientAddresses, log: Logger) {
    this.#path = path;
    this.#knocks = knocks;
    this.#addresses = addresses;
    this.#log = log;
  }

  /** True for the target of a request that is for our path. */
  areFor(target: string): boolean {
    return pathOf(target) === this.#path;
  }

  /** Answers what is no POST to our path. Another method is PHP's 400. */
  turnAway(response: ServerResponse, ours: boolean): void {
    send(response, ours ? 400 : 404, "");
  }

  /** Answers a POST to our path; never rejects. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#answer(request, response);
    } catch (error) {
      this.fail(response, error);
    }
  }

  /** What nobody foresaw. */
  fail(response: ServerResponse, error: unknown): void {
    const hint = isWkfsError(error) ? error.hint : undefined;
    this.#log.error({ error: messageOf(error), hint }, "a request failed in an unforeseen way");
    if (!response.headersSent) send(response, 500, "");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body: Buffer | undefined;
    try {
      body = await readBody(request);
    } catch {
      return; // The sender broke off; there is nobody to answer.
    }
    if (body === undefined) return cutOff(response, "413 Content Too Large");
    const forwarded = request.headers["x-forwarded-for"];
    const peer = request.socket.remoteAddress;
    const address = () => this.#addresses.of(peer, Array.isArray(forwarded) ? forwarded.join(",") : forwarded);
    deliver(response, await this.#knocks.answer(request.headers["content-type"], body, address));
  }
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
 * Answers a request that is too large, or too slow, without reading the rest of it. Node's own end of a response would read it on,
 * or reset the connection before the answer is read; so the answer goes to the socket, which closes soon after.
 */
export function cutOff(response: ServerResponse, status: "408 Request Timeout" | "413 Content Too Large"): void {
  const { socket } = response;
  if (socket === null) return;
  socket.pause();
  socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
  setTimeout(() => socket.destroy(), LAST_WORD).unref();
}
