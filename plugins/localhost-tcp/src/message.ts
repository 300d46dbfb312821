import { type GrantRequest, WkfsError, messageOf } from "@wkfs/core";

/** Largest reply in bytes, on both sides. */
export const MAX_REPLY = 65_536;

/** What a peer without the right secret is told: not whether it was wrong or missing. */
export const REFUSAL = '{"success":false,"error":"Missing \'secret\'.","errorcode":"missing_secret"}';

const SEE_LOG = "See the daemon's log for why.";

/** A byte order mark is kept, so that it makes the text invalid, as it does for the PHP program. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The JSON object or array that these bytes are, or undefined when they are none. */
export function parseMessage(bytes: Uint8Array): object | undefined {
  try {
    return objectIn(utf8.decode(bytes));
  } catch {
    return undefined;
  }
}

function objectIn(text: string): object | undefined {
  const value: unknown = JSON.parse(text);
  return typeof value === "object" && value !== null ? value : undefined;
}

/** What stands beside the request where a connection is not authenticated and does not speak in frames yet. */
export interface Envelope {
  readonly secret?: string;
  /** The version of the frames that the gateway asks for. */
  readonly frames?: number;
}

/**
 * The request on the wire. The PHP program's daemon is sent what its own front end sends, in that order.
 * Throws `TRANSPORT_FAILED` when it is no JSON, or has more than `limit` bytes.
 */
export function formatRequest(request: GrantRequest, limit: number, { secret, frames }: Envelope = {}): string {
  const { ip, ports, time, client, close } = request;
  let text: string;
  try {
    text = JSON.stringify({ secret, ip, ports, time, client, close, frames });
  } catch (cause) {
    throw new WkfsError("TRANSPORT_FAILED", `the request cannot be written as JSON: ${messageOf(cause)}`, {
      hint: "Send plain values, not nested too deeply.",
      cause,
    });
  }
  const size = Buffer.byteLength(text);
  if (size <= limit) return text;
  throw failed(
    `the request has ${size} bytes, the limit is ${limit}`,
    "Ask for fewer ports, or raise the transport's maxMessage on both sides.",
  );
}

/** A member of a message as the peer wrote it, never one that all objects inherit. */
export function member(message: object, name: string): unknown {
  return Object.hasOwn(message, name) ? (message as Readonly<Record<string, unknown>>)[name] : undefined;
}

/** What a message asks for; the secret and unknown members stay behind. */
export function requestOf(message: object): GrantRequest {
  const request = { ip: member(message, "ip"), ports: member(message, "ports"), time: member(message, "time") };
  const named = Object.hasOwn(message, "client") ? { ...request, client: member(message, "client") } : request;
  return Object.hasOwn(message, "close") ? { ...named, close: member(message, "close") } : named;
}

/**
 * The text of a daemon's whole reply. Throws `TRANSPORT_FAILED` when there is none, when it is cut off
 * (without frames, the connection's end is its only end), and when it says that our secret is not the daemon's.
 */
export function replyText(bytes: Uint8Array): string {
  if (bytes.length === 0) throw failed("gave no answer", SEE_LOG);
  let text: string;
  let reply: object | undefined;
  try {
    text = utf8.decode(bytes);
    reply = objectIn(text);
  } catch {
    throw failed("gave an answer that is not JSON, or not all of it", SEE_LOG);
  }
  if (reply === undefined) throw failed("gave an answer that is no JSON object", SEE_LOG);
  // The PHP program writes its code under the key "0".
  if (member(reply, "errorcode") === "missing_secret" || member(reply, "0") === "missing_secret") {
    throw failed("does not accept our secret", "Give the same secret file to gateway and daemon, and restart both.");
  }
  return text;
}

function failed(what: string, hint: string): WkfsError {
  return new WkfsError("TRANSPORT_FAILED", what, { hint });
}
