// Knocks, and tries the protected port with one UDP packet after the other until one gets through. On the client's host.
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { answers } from "../answers.ts";
import { clientAddress } from "../stage.ts";
import { httpRequest, readCodec } from "./packets.ts";

export interface KnockRequest {
  /** Who knocks: a client whose port is shut. */
  readonly index: number;
  readonly server: string;
  readonly udpPort: number;
  readonly by:
    /** A request to open on a connection over which another request went before. */
    | { readonly http: number; readonly path: string; readonly keys: string }
    /** What stands in a file, as one UDP packet. */
    | { readonly udp: number; readonly file: string }
    /** A program. */
    | { readonly argv: readonly string[]; readonly home: string };
}

/**
 * Milliseconds between two tries: a pause in which nothing runs here, so the other side has the processor. With the
 * kernel's slack for timers and the try itself it is a tenth of a millisecond from one to the next.
 */
const PAUSE = 0.02;
const LIMIT = 20_000;

const run = promisify(execFile);
const never = new Int32Array(new SharedArrayBuffer(4));
const seconds = () => Math.floor(Date.now() / 1000);

/** Makes everything ready and gives the function that knocks. */
async function ready({ by, index, server, udpPort }: KnockRequest): Promise<{ knock(): void; end(): void }> {
  const address = clientAddress(index);
  if ("argv" in by) {
    await run("ip", ["route", "replace", server, "dev", "wire0", "src", address]);
    const [file, ...args] = by.argv;
    const env = { ...process.env, HOME: by.home };
    return { knock: () => void execFile(file!, args, { env }), end: () => {} };
  }
  if ("udp" in by) {
    const socket = createSocket("udp4");
    const packet = readFileSync(by.file, "latin1").trim();
    await new Promise<void>((resolve) => socket.bind(0, address, resolve));
    return { knock: () => socket.send(packet, by.udp, server), end: () => socket.close() };
  }
  const codec = readCodec(by.keys);
  const socket = connect({ host: server, port: by.http, localAddress: address, noDelay: true });
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(httpRequest(by.path, server, codec.seal(Buffer.from(`{"api":"getinfo","ver":1,"ts":${seconds()}}`))));
  await once(socket, "data");
  const ports = [{ proto: "UDP", num: udpPort }];
  const open = { api: "openports", ip: address, ports, time: 60, ver: 1, ts: seconds() };
  const request = httpRequest(by.path, server, codec.seal(Buffer.from(JSON.stringify(open))));
  return { knock: () => socket.write(request), end: () => socket.destroy() };
}

/**
 * Milliseconds from the knock until the first packet was let through. A packet passes the filter within the system call
 * that sends it, so what counts is when that one was sent, and not when a process on the other side woke up for it.
 */
async function knockToOpen(request: KnockRequest): Promise<number> {
  const probe = createSocket("udp4");
  await new Promise<void>((resolve) => probe.bind(0, clientAddress(request.index), resolve));
  probe.connect(request.udpPort, request.server);
  await once(probe, "connect");
  const { knock, end } = await ready(request);
  try {
    /** The number of the first try that was answered, and when each was out. */
    let through: number | undefined;
    const sent: bigint[] = [];
    const tryOnce = () => {
      probe.send(String(sent.length), () => {});
      sent.push(process.hrtime.bigint());
    };
    probe.on("message", (text) => (through ??= Number(text.toString())));
    tryOnce();
    await delay(20);
    if (through !== undefined) throw new Error("the port was open before the knock");
    const started = process.hrtime.bigint();
    knock();
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (through !== undefined) return Number(sent[through]! - started) / 1e6;
      if (process.hrtime.bigint() - started > BigInt(LIMIT * 1e6))
        throw new Error(`the port did not open after ${JSON.stringify(request.by).slice(0, 200)}`);
      // The pause comes first: the kernel likes to wake the server on the very processor that we would go on using.
      Atomics.wait(never, 0, 0, PAUSE);
      tryOnce();
    }
  } finally {
    end();
    probe.close();
  }
}

answers<KnockRequest>(knockToOpen);
