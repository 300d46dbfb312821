import type { GrantRequest } from "../contracts/transport.ts";
import type { Address } from "../model/address.ts";
import type { Port } from "../model/port.ts";
import {
  MAX_PORTS,
  type RequestFault,
  distinct,
  isNothing,
  readAddress,
  readClientName,
  readSuccess,
  readWirePort,
  refused,
  wirePort,
} from "./messages.ts";

/**
 * The JSON texts by which a client gives ports back before their deadline: our own addition to protocol v1, which
 * docs/protocol-extensions.md describes.
 */

const encoder = new TextEncoder();

/** A request to close, checked and typed. */
export interface CloseRequest {
  readonly address: Address;
  /** Undefined: all that this client has open. */
  readonly ports: readonly Port[] | undefined;
  /** The name of the key set, where the gateway told one. */
  readonly client: string | undefined;
}

/** The client's request; without `ports` all of its own. `ts` in whole seconds since the epoch. */
export function closeRequest(
  ts: number,
  ip: string,
  ports: readonly Port[] | undefined,
  nonce: string = crypto.randomUUID(),
): Uint8Array {
  const named = ports && { ports: ports.map(wirePort) };
  return encoder.encode(JSON.stringify({ api: "closeports", ip, ...named, ver: 1, ts, nonce }));
}

/** What the gateway sends to the daemon. Undefined for ports that are no list, or one that is too long. */
export function closeGrant(
  ip: string,
  ports: unknown,
  client: string,
): (GrantRequest & { readonly ip: string; readonly client: string }) | undefined {
  // What PHP's daemon wants in order to open anything is not there.
  const request = { ip, ports: undefined, time: undefined, client };
  if (isNothing(ports)) return { ...request, close: {} };
  if (typeof ports !== "object") return undefined;
  const entries: unknown[] = Object.values(ports);
  if (entries.length > MAX_PORTS) return undefined;
  return { ...request, close: { ports: distinct(entries).map(wirePort) } };
}

/** Checks a request of the transport that has a `close`, trusting nothing of it. */
export function readCloseRequest(request: GrantRequest): CloseRequest | RequestFault {
  const address = readAddress(request.ip);
  if (typeof address === "string") return address;
  if (typeof request.close !== "object" || request.close === null) return "invalid_close";
  const client = readClientName(request.client);
  const ports = "ports" in request.close ? request.close.ports : undefined;
  if (isNothing(ports)) return { address, ports: undefined, client };
  if (typeof ports !== "object") return "invalid_close";
  const entries: unknown[] = Object.values(ports);
  return entries.length > MAX_PORTS ? "too_many_ports" : { address, ports: distinct(entries), client };
}

/** Says which were closed; none when none was open. */
export function closedReply(closed: readonly Port[]): string {
  return JSON.stringify({ success: true, closed: closed.map(wirePort) });
}

/** Reads the answer to `closeports`. Throws `KNOCK_REFUSED`. */
export function readClosedReply(payload: Uint8Array): readonly Port[] {
  const { closed } = readSuccess(payload);
  const ports = Array.isArray(closed) ? closed.map(readWirePort) : [undefined];
  if (ports.every((port) => port !== undefined)) return ports;
  throw refused("the server's list of closed ports makes no sense", "bad_answer");
}

/**
 * True for what a daemon answers that takes a request to close for one to open without ports: PHP's, which has its code under
 * the key "0", or one of ours from before there was such a thing.
 */
export function knowsNoClose(reply: string): boolean {
  try {
    const value = JSON.parse(reply) as Readonly<Record<string, unknown>> | null;
    return value?.["success"] === false && (value["errorcode"] ?? value["0"]) === "missing_ports";
  } catch {
    return false;
  }
}
