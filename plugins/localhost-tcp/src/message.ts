import { type GrantRequest, WkfsError } from "@wkfs/core";

/** Largest reply in bytes, on both sides. */
export const MAX_REPLY = 65_536;

/** What a peer without the right secret is told: not whether it was wrong or missing. */
export const REFUSAL = '{"success":false,"error":"Missing \'secret\'.","errorcode":"missing_secret"}';

/** A byte order mark is kept, so that it makes the text invalid, as it does for the PHP program. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The JSON object or array that these bytes are, or undefined when they are none. */
export function parseMessage(bytes: Uint8Array): object | undefined {
  try {
    const value: unknown = JSON.parse(utf8.decode(bytes));
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The request on the wire. The PHP program's daemon is sent what its own front end sends, in that order. */
export function formatRequest(secret: string, request: GrantRequest): string {
  const { ip, ports, time, client } = request;
  return JSON.stringify({ secret, ip, ports, time, ...(client === undefined ? {} : { client }) });
}

/** A member of a message as the peer wrote it, never one that all objects inherit. */
export function member(message: object, name: string): unknown {
  return Object.hasOwn(message, name) ? (message as Readonly<Record<string, unknown>>)[name] : undefined;
}

/** What a message asks for; the secret and unknown members stay behind. */
export function requestOf(message: object): GrantRequest {
  const request = { ip: member(message, "ip"), ports: member(message, "ports"), time: member(message, "time") };
  return Object.hasOwn(message, "client") ? { ...request, client: member(message, "client") } : request;
}

/**
 * The text of a daemon's whole reply. Throws `TRANSPORT_FAILED` when there is none, when it is cut off
 * (the connection's end is its only end), and when it says that our secret is not the daemon's.
 */
export function replyText(bytes: Uint8Array): string {
  if (bytes.length === 0) throw failed("closed the connection without an answer", "See the daemon's log for why.");
  const reply = parseMessage(bytes);
  if (reply === undefined) throw failed("gave an answer that is no whole JSON object", "See the daemon's log for why.");
  // The PHP program writes its code under the key "0".
  if (member(reply, "errorcode") === "missing_secret" || member(reply, "0") === "missing_secret") {
    throw failed("does not accept our secret", "Give the same secret file to gateway and daemon, and restart both.");
  }
  return utf8.decode(bytes);
}

function failed(what: string, hint: string): WkfsError {
  return new WkfsError("TRANSPORT_FAILED", what, { hint });
}
