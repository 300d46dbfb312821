import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type Socket, connect as connectTcp, isIPv6 } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Clock } from "@wkfs/core";
import { relayTo } from "@wkfs/core/host";
import type { SyslogConfig, Target } from "./config.ts";

/** Milliseconds in which the other host must say that nobody listens; later nobody hears it. */
const REFUSAL = 200;

export type Remote = Extract<Target, { readonly host: string }>;

/**
 * A datagram each (RFC 5426). Nobody says that one arrived: only that nobody listens there, and not every host says so.
 */
export async function sendDatagrams(
  { host, port }: Remote,
  messages: readonly string[],
  end: AbortSignal,
  clock: Clock,
): Promise<void> {
  end.throwIfAborted();
  const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  socket.on("error", failed.reject);
  const callOff = () => failed.reject(end.reason);
  end.addEventListener("abort", callOff, { once: true });
  let stopTimer = () => {};
  const work = async () => {
    await new Promise<void>((resolve) => socket.connect(port, host, resolve));
    for (const message of messages) {
      await new Promise<void>((resolve, reject) => {
        socket.send(message, (error) => (error === null ? resolve() : reject(error)));
      });
    }
    await new Promise<void>((resolve) => (stopTimer = clock.setTimer(REFUSAL, resolve)));
  };
  try {
    await Promise.race([work(), failed.promise]);
  } finally {
    end.removeEventListener("abort", callOff);
    stopTimer();
    socket.close();
  }
}

/**
 * One connection for these messages (RFC 6587, RFC 5425). There is no acknowledgement in either: but a receiver that is told
 * that nothing more comes closes its side when it has read everything, and one that dies before breaks the connection.
 */
export async function sendStream(
  { kind, host, port }: Remote,
  messages: readonly string[],
  { framing }: Pick<SyslogConfig, "framing">,
  ca: string | undefined,
  end: AbortSignal,
): Promise<void> {
  end.throwIfAborted();
  const name = /^[\d.]+$/.test(host) || isIPv6(host) ? {} : { servername: host };
  const trust = ca === undefined ? {} : { ca };
  const path = relayTo({ host, port });
  // With a path the host is only whose certificate is looked at.
  const place = path === undefined ? { host, port } : { host, port, path };
  const socket: Socket =
    kind === "tls"
      ? connectTls({ ...place, minVersion: "TLSv1.2", rejectUnauthorized: true, ...name, ...trust })
      : connectTcp(place);
  const callOff = () => socket.destroy(new Error("called off"));
  end.addEventListener("abort", callOff, { once: true });
  const ended = Promise.withResolvers<void>();
  socket.on("error", ended.reject).on("close", () => ended.resolve());
  ended.promise.catch(() => {});
  try {
    await Promise.race([once(socket, kind === "tls" ? "secureConnect" : "connect"), ended.promise]);
    // What it says is of no interest, but must be read for its end to be seen.
    socket.resume();
    socket.end(messages.map((message) => framed(message, framing)).join(""));
    await ended.promise;
    if (!socket.readableEnded) throw new Error("the connection was broken off");
  } finally {
    end.removeEventListener("abort", callOff);
    socket.destroy();
  }
}

function framed(message: string, framing: SyslogConfig["framing"]): string {
  return framing === "newline" ? `${message}\n` : `${Buffer.byteLength(message)} ${message}`;
}
