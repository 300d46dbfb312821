import type { GrantRequest } from "../contracts/transport.ts";
import { type Address, parseAddress } from "../model/address.ts";
import { WkfsError } from "../model/errors.ts";
import type { Knock, KnockOutcome, KnockRefusal } from "../model/knock.ts";
import { type Port, type ProtectedPorts, isPortNumber } from "../model/port.ts";

/**
 * The JSON texts of protocol v1 and what they mean. Field names, their order and the English of the
 * errors are the PHP program's, because its other half reads them.
 */

/** Half of the window, in seconds, in which a request's timestamp may lie around our own time. */
export const TIME_WINDOW = 15;
const MAX_NESTING = 512;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export type RequestCheck =
  | { readonly kind: "getinfo"; readonly ts: number }
  | {
      readonly kind: "openports";
      readonly ts: number;
      readonly ip: unknown;
      readonly ports: unknown;
      readonly time: unknown;
    }
  /** Ours alone; to the PHP program it is an unknown api. */
  | { readonly kind: "closeports"; readonly ts: number; readonly ip: unknown; readonly ports: unknown }
  /** No request of this protocol, or one made too long ago or ahead. */
  | { readonly kind: "rejected" }
  | { readonly kind: "wrong-version" }
  | { readonly kind: "unknown-api" };

/** What the web half looks at in an authenticated payload, in its order. `now` in seconds. */
export function readRequest(payload: Uint8Array, now: number): RequestCheck {
  const request = parseJson(payload);
  if (request === undefined) return { kind: "rejected" };
  const { ver, ts, api } = request;
  if (isNothing(ver) || isNothing(ts) || isNothing(api)) return { kind: "rejected" };
  const time = phpInteger(ts);
  if (time < now - TIME_WINDOW || time > now + TIME_WINDOW) return { kind: "rejected" };
  if (phpInteger(ver) !== 1) return { kind: "wrong-version" };
  if (api === "getinfo") return { kind: "getinfo", ts: time };
  if (api === "openports") {
    return { kind: "openports", ts: time, ip: request["ip"], ports: request["ports"], time: request["time"] };
  }
  if (api === "closeports") return { kind: "closeports", ts: time, ip: request["ip"], ports: request["ports"] };
  return { kind: "unknown-api" };
}

/** JSON leaves these out or writes them null; PHP's `isset` takes both for missing. */
export function isNothing(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

/** What a server offers to the holder of a key set. */
export interface ServerInfo extends ProtectedPorts {
  /** Longest lease in seconds. */
  readonly maxTime: number;
  /** The client's address as the server saw it. */
  readonly ip: string;
}

export function infoReply(info: ServerInfo): string {
  return JSON.stringify({ success: true, tcp: info.tcp, udp: info.udp, maxtime: info.maxTime, ip: info.ip });
}

/** Requests of the client. `ts` in whole seconds since the epoch. */
export function infoRequest(ts: number, ip?: string): Uint8Array {
  return encoder.encode(JSON.stringify({ api: "getinfo", ver: 1, ts, ...(ip === undefined ? {} : { ip }) }));
}

/**
 * Of two requests of one second the second would be taken for a repeat: `nonce` tells them apart. PHP's server passes
 * over fields that it does not know.
 */
export function openRequest(
  ts: number,
  ip: string,
  ports: readonly Port[],
  time: number,
  nonce: string = crypto.randomUUID(),
): Uint8Array {
  return encoder.encode(JSON.stringify({ api: "openports", ip, ports: ports.map(wirePort), time, ver: 1, ts, nonce }));
}

/** A port as it travels: `{"proto":"TCP","num":22}`. */
export interface WirePort {
  readonly proto: "TCP" | "UDP";
  readonly num: number;
}

export function wirePort(port: Port): WirePort {
  return { proto: port.protocol === "tcp" ? "TCP" : "UDP", num: port.number };
}

/** Reads a wire port; undefined for what is none. Upper and lower case are the same to PHP. */
export function readWirePort(value: unknown): Port | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { proto, num } = value as Record<string, unknown>;
  const protocol = typeof proto === "string" ? proto.toLowerCase() : undefined;
  return (protocol === "tcp" || protocol === "udp") && isPortNumber(num) ? { protocol, number: num } : undefined;
}

/** Why a daemon answers no; each code with PHP's own words where PHP has them. */
const ERRORS = {
  missing_secret: "Missing 'secret'.",
  missing_ip: "Missing 'ip'.",
  invalid_ip: "Invalid 'ip'.",
  missing_ports: "Missing 'ports'.",
  too_many_ports: "Too many 'ports'.",
  missing_time: "Missing or invalid 'time'.",
  invalid_close: "Invalid 'close'.",
  no_ports: "None of the requested ports is offered.",
  unknown_client: "The keys of this client are not known to the server.",
  not_allowed: "The server does not allow it now.",
  too_many_knocks: "Too many requests of this address at once. Nothing was opened.",
  too_many_leases: "The server has as many ports open as it may. Nothing was opened.",
  too_many_leases_of_address: "This address has as many ports open as it may. Nothing was opened.",
  firewall_full: "The server's packet filter has no room for more. Nothing was opened.",
  firewall_failed: "The server could not change its packet filter. Nothing was opened.",
  store_failed: "The server could not record the request. Nothing was opened.",
  stopping: "The server is stopping. Nothing was opened.",
  close_failed: "The server could not close every port at once. It tries again each second.",
} as const satisfies Record<KnockRefusal | RequestFault | "missing_secret" | "close_failed", string>;

/** What is wrong with a request of the transport. */
export type RequestFault =
  | "missing_ip"
  | "invalid_ip"
  | "missing_ports"
  | "too_many_ports"
  | "missing_time"
  | "invalid_close";

export type ReplyError = keyof typeof ERRORS;

export function errorReply(code: ReplyError): string {
  return JSON.stringify({ success: false, error: ERRORS[code], errorcode: code });
}

/** Most ports that one request may name: more than anybody protects, less than what hurts. */
export const MAX_PORTS = 1024;

/**
 * Checks a grant request as the daemon must, trusting nothing of it: in the order ip, ports, time. Ports
 * that make no sense are dropped, as PHP does; the daemon then answers what it did open. `time` has
 * to be a number: PHP also takes texts such as "60" and "22abc" for one, which no client sends.
 */
export function readGrantRequest(request: GrantRequest): Knock | RequestFault {
  const address = readAddress(request.ip);
  if (typeof address === "string") return address;
  if (typeof request.ports !== "object" || request.ports === null) return "missing_ports";
  const entries: unknown[] = Object.values(request.ports);
  if (entries.length > MAX_PORTS) return "too_many_ports";
  const seconds = typeof request.time === "number" ? phpInteger(request.time) : 0;
  if (seconds < 1) return "missing_time";
  const ports =
    entries.length === 1 ? [readWirePort(entries[0])].filter((port) => port !== undefined) : distinct(entries);
  return { address, ports, duration: seconds * 1000, client: readClientName(request.client) };
}

/** The address of a request of the transport. */
export function readAddress(ip: unknown): Address | "missing_ip" | "invalid_ip" {
  if (typeof ip !== "string") return "missing_ip";
  try {
    return parseAddress(ip);
  } catch {
    return "invalid_ip";
  }
}

/** It goes into logs and the history: what is longer than a name can be is none. */
export function readClientName(client: unknown): string | undefined {
  return typeof client === "string" && client.length <= 64 ? client : undefined;
}

/** The ports among these entries, each once. */
export function distinct(entries: readonly unknown[]): Port[] {
  const ports = new Map<string, Port>();
  for (const entry of entries) {
    const port = readWirePort(entry);
    if (port !== undefined) ports.set(`${port.protocol}/${port.number}`, port);
  }
  return [...ports.values()];
}

/**
 * The answer to a knock. Beyond PHP's `success` and `expires` it says what was opened and what was not;
 * PHP's client passes over both. `expires` is when the first of the ports shuts, in whole seconds.
 */
export function outcomeReply(outcome: KnockOutcome): string {
  if ("refusal" in outcome) return errorReply(outcome.refusal);
  const leases = [...outcome.opened, ...outcome.renewed];
  return JSON.stringify({
    success: true,
    expires: Math.floor(Math.min(...leases.map((lease) => lease.deadline)) / 1000),
    opened: leases.map((lease) => wirePort(lease.port)),
    refused: outcome.refused.map(wirePort),
  });
}

export interface OpenReply {
  /** When the first of the ports shuts, in seconds since the epoch. */
  readonly expires: number;
  /** Undefined from a PHP server, which does not say. */
  readonly opened: readonly Port[] | undefined;
}

/** Reads the answer to `getinfo`. Throws `KNOCK_REFUSED`. */
export function readInfoReply(payload: Uint8Array): ServerInfo {
  const { tcp, udp, maxtime, ip } = readSuccess(payload);
  if (
    !isPortList(tcp) ||
    !isPortList(udp) ||
    typeof maxtime !== "number" ||
    !(maxtime >= 1) ||
    typeof ip !== "string"
  ) {
    throw refused("the server's answer to getinfo makes no sense", "bad_answer");
  }
  return { tcp, udp, maxTime: Math.floor(maxtime), ip: parseAddress(ip).text };
}

/** Reads the answer to `openports`. Throws `KNOCK_REFUSED`. */
export function readOpenReply(payload: Uint8Array): OpenReply {
  const { expires, opened } = readSuccess(payload);
  if (typeof expires !== "number" || !Number.isFinite(expires)) {
    throw refused("the server's answer does not say until when", "bad_answer");
  }
  if (opened === undefined) return { expires, opened: undefined };
  const ports = Array.isArray(opened) ? opened.map(readWirePort) : [undefined];
  if (!ports.every((port) => port !== undefined))
    throw refused("the server's list of opened ports makes no sense", "bad_answer");
  return { expires, opened: ports };
}

/** The answer of a server that did what it was asked. Throws `KNOCK_REFUSED`, with its reason, for any other. */
export function readSuccess(payload: Uint8Array): Record<string, unknown> {
  if (payload.length === 0) {
    throw refused(
      "the gateway reached its daemon but got no answer from it",
      "no_answer",
      "Look into the log of `wkfs daemon` on the server.",
    );
  }
  const reply = parseJson(payload);
  if (reply === undefined || typeof reply["success"] !== "boolean")
    throw refused("the server's answer makes no sense", "bad_answer");
  if (reply["success"]) return reply;
  // PHP's daemon writes the code under the key "0".
  const code = reply["errorcode"] ?? reply["0"];
  throw refused(printable(reply["error"]) || "the server refused", printable(code) || "refused");
}

/** An error with the reason that stands in the answer. */
export function refused(text: string, reason: string, hint?: string): WkfsError {
  return new WkfsError("KNOCK_REFUSED", `${text} (${reason})`, {
    hint: hint ?? HINTS[reason] ?? "Look into the log of the server.",
  });
}

const HINTS: Record<string, string> = {
  no_ports: "Ask `wkfs client info` which ports the server offers to these keys.",
  firewall_failed: "Look into the log of `wkfs daemon` on the server; the error of the packet filter stands there.",
  firewall_full: "On the server, give the firewall's set a larger `size`.",
  too_many_knocks: "Wait a second and knock again; on the server this is limits.knocksPerSecond.",
  too_many_leases: "Wait until leases have ended; on the server this is limits.leases.",
  too_many_leases_of_address: "Ask for fewer ports; on the server this is limits.leasesPerAddress.",
  missing_secret: "Gateway and daemon have different transport secrets: give both the same file.",
  close_failed: "Look into the log of `wkfs daemon` on the server; the error of the packet filter stands there.",
  bad_answer: "Check that the URL leads to a wkfs gateway.",
};

/** Text of the other side, cut and without control characters, fit for a terminal. */
function printable(value: unknown): string {
  return typeof value === "string" ? value.slice(0, 200).replaceAll(/\p{Cc}/gu, " ") : "";
}

function isPortList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isPortNumber);
}

/** An object or array from JSON of bounded nesting; undefined for anything else, a BOM among it. */
function parseJson(payload: Uint8Array): Record<string, unknown> | undefined {
  try {
    const text = decoder.decode(payload);
    // A text with fewer characters cannot be nested so deeply, and no honest request has more.
    if (text.length > MAX_NESTING && nesting(text) > MAX_NESTING) return undefined;
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Depth of brackets outside strings; right for every text that JSON.parse will take. */
function nesting(json: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [bracket] of json.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    if (bracket === "[" || bracket === "{") deepest = Math.max(deepest, ++depth);
    else if (bracket === "]" || bracket === "}") depth -= 1;
  }
  return deepest;
}

/**
 * PHP's `(int)` of a JSON value, which is what decides whether its front end takes a version or a time:
 * leading digits of a text, 1 for true and for a list that has anything in it, 0 for what is out of range.
 */
export function phpInteger(value: unknown): number {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0 ? 1 : 0;
  const number =
    typeof value === "string"
      ? Number(/^[ \t\n\r\v\f]*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)/.exec(value)?.[1] ?? 0)
      : typeof value === "number"
        ? value
        : 0;
  return Math.abs(number) < 2 ** 63 ? Math.trunc(number) : 0;
}
