import { closeSync, fstatSync } from "node:fs";
import { Socket, connect, isIP } from "node:net";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { WkfsError, messageOf } from "@wkfs/core";
import type { Client, KnockResult } from "@wkfs/core/client";

/** Milliseconds for the connection to be made. A lost SYN is sent again after 1, 3, 7 and 15 s. */
const CONNECT_LIMIT = 30_000;
/** Seconds that are asked for: a connection that stands outlives its lease, so it has to last until there is one. */
const LEASE = CONNECT_LIMIT / 1000;

export interface Target {
  readonly host: string;
  readonly port: number;
}

/**
 * Knocks for a TCP port and connects to it. Knocks again while that takes long, so that the port is open for the last try
 * too. Throws what the first knock throws, and `SERVER_UNREACHABLE` when there is no connection.
 */
export async function knockAndConnect(client: Pick<Client, "knock">, { host, port }: Target): Promise<Socket> {
  const request = { ports: { tcp: [port], udp: [] }, time: LEASE };
  const opened = await client.knock(request);
  // One that fails costs nothing yet: the port may still be open, and the connection says whether it was.
  const again = setInterval(() => void client.knock(request).catch(() => {}), (opened.lasts * 1000) / 3);
  try {
    return await connectAny(await addressesOf(host, opened), { host, port }, opened);
  } finally {
    clearInterval(again);
  }
}

/**
 * Where the host is, as far as the port is open there: it is so for the address that the server saw, and a connection of the other
 * family would come from another.
 */
async function addressesOf(host: string, { ip }: KnockResult): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  const { lookup } = await import("node:dns/promises");
  const found = await lookup(host, { all: true }).catch((error: unknown) => {
    throw new WkfsError("SERVER_UNREACHABLE", `cannot find ${host}: ${messageOf(error)}`, {
      hint: "Check the name, or give an address.",
      cause: error,
    });
  });
  const same = found.filter(({ family }) => family === isIP(ip));
  return (same.length > 0 ? same : found).map(({ address }) => address);
}

async function connectAny(addresses: readonly string[], { host, port }: Target, { ip }: KnockResult): Promise<Socket> {
  let failure: unknown;
  for (const address of addresses) {
    try {
      return await connectTo(address, port, CONNECT_LIMIT / addresses.length);
    } catch (error) {
      failure = error;
    }
  }
  throw new WkfsError("SERVER_UNREACHABLE", `no connection to ${host} port ${port}: ${messageOf(failure)}`, {
    hint: `The port is open for ${ip}: see that ${host} is the server that was knocked at, that a program listens there, and that it sees us with that address.`,
    cause: failure,
  });
}

function connectTo(host: string, port: number, limit: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    const late = setTimeout(() => socket.destroy(new Error(`no answer within ${Math.round(limit / 1000)} s`)), limit);
    socket.once("error", reject);
    socket.once("close", () => clearTimeout(late));
    socket.once("connect", () => {
      clearTimeout(late);
      socket.off("error", reject);
      resolve(socket);
    });
  });
}

/**
 * Hands on what comes, both ways, no faster than it is taken. The end of one way ends that way alone; when both have ended, it
 * resolves. At a terminal the other side's end is the end. Rejects with `SERVER_UNREACHABLE` when the connection breaks; who reads no more ends it too.
 */
export async function pipeThrough(socket: Socket, input: Readable, output: Writable): Promise<void> {
  const sent = pipeline(input, socket).catch((error: unknown) => {
    // What was sent too late is no loss: the other side had said all that it had to say.
    if (!socket.readableEnded) throw error;
  });
  sent.catch(() => {});
  // A pipeline that fails hands its error to all of its streams; the first had it.
  let readerLeft = false;
  output.once("error", (error) => (readerLeft = socket.errored === null && isBrokenPipe(error)));
  try {
    await pipeline(socket, output);
    if (!isTerminal(input)) await sent;
  } catch (error) {
    if (readerLeft) return;
    throw new WkfsError("SERVER_UNREACHABLE", `the connection broke: ${messageOf(error)}`, {
      hint: "The other side, or something on the way, ended it.",
      cause: error,
    });
  }
}

/** Standard output as a stream whose end the reader sees, where that means something. Neither Node nor libuv ever closes it. */
export function closableOutput(): Writable {
  const status = fstatSync(1);
  if (!status.isFIFO() && !status.isSocket()) return process.stdout;
  const output = new Socket({ fd: 1, readable: false, writable: true });
  if (status.isFIFO()) output.once("close", () => closeSync(1));
  return output;
}

function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPIPE";
}

function isTerminal(input: Readable): boolean {
  return "isTTY" in input && input.isTTY === true;
}
