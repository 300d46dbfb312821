import { createHmac } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { relayTo } from "@wkfs/core/host";
import type { Endpoint } from "./endpoint.ts";
import type { Message } from "./message.ts";

/** Most bytes of an answer that are looked at; the rest is not read. */
const ANSWER_LIMIT = 2048;

export interface Answer {
  readonly status: number;
  /** The beginning of what it says; nothing where it says that all is well. */
  readonly text: string;
  /** Milliseconds that it asks to wait before the next request. */
  readonly wait: number | undefined;
}

/**
 * One POST request on a connection of its own. A redirection is an answer like others: what is signed and secret goes where the
 * configuration says. Certificates are looked at whatever the environment says.
 */
export async function post(
  endpoint: Endpoint,
  message: Message,
  id: string,
  now: number,
  end: AbortSignal,
): Promise<Answer> {
  end.throwIfAborted();
  const { url, token, key, ca } = endpoint;
  const body = Buffer.from(message.body);
  const port = Number(url.port) || (url.protocol === "https:" ? 443 : 80);
  const relay = relayTo({ host: url.hostname.replaceAll(/^\[|\]$/g, ""), port });
  const options = {
    method: "POST",
    agent: false,
    ...(relay !== undefined && { socketPath: relay }),
    signal: end,
    headers: {
      ...message.headers,
      "content-length": body.length,
      "user-agent": "wkfs",
      ...(key !== undefined && signatureOf(key, id, now, message.body)),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
  } as const;
  const request =
    url.protocol === "https:"
      ? requestHttps(url, {
          ...options,
          rejectUnauthorized: true,
          minVersion: "TLSv1.2",
          ...(ca !== undefined && { ca }),
        })
      : requestHttp(url, options);
  request.end(body);
  // A failure after the answer has begun is that of reading it.
  request.on("error", () => {});
  const [response] = (await once(request, "response")) as [IncomingMessage];
  try {
    const status = response.statusCode ?? 0;
    const well = status >= 200 && status < 300;
    return { status, text: well ? "" : await beginningOf(response), wait: waitOf(response, now) };
  } finally {
    response.destroy();
  }
}

/**
 * Standard Webhooks 1.0: HMAC-SHA-256 over id, time and body. With the time in what is signed, a receiver can refuse a
 * request that somebody has recorded and sends again; with the id, one that comes a second time.
 */
function signatureOf(key: Buffer, id: string, now: number, body: string): Record<string, string> {
  const time = String(Math.floor(now / 1000));
  const signature = createHmac("sha256", key).update(`${id}.${time}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": time, "webhook-signature": `v1,${signature}` };
}

async function beginningOf(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    pieces.push(piece);
    size += piece.length;
    if (size >= ANSWER_LIMIT) break;
  }
  return Buffer.concat(pieces).subarray(0, ANSWER_LIMIT).toString();
}

/** `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3). */
function waitOf({ headers }: IncomingMessage, now: number): number | undefined {
  const text = headers["retry-after"];
  if (text === undefined) return undefined;
  const wait = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return wait > 0 ? wait : undefined;
}
