import { type Socket, connect } from "node:net";
import { BoundedBytes } from "./bytes.ts";
import { MAX_REPLY } from "./message.ts";

export interface Peer {
  readonly host: string;
  readonly port: number;
}

/**
 * Writes `text` on a connection of its own and resolves with all that came back until the peer closed
 * it. It never half-closes: the PHP program's daemon drops who does. `taken` is called when the peer
 * has the connection and before it has the text. Rejects with the socket's error, with an error of its
 * own, or with the signal's reason; the connection is gone when it settles.
 */
export function exchange(peer: Peer, text: string, signal: AbortSignal, taken: () => void): Promise<Uint8Array> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const reply = new BoundedBytes(MAX_REPLY);
    const socket = connect({ host: peer.host, port: peer.port, noDelay: true });
    const fail = (reason: unknown) => {
      leave();
      reject(reason);
    };
    const abort = () => fail(signal.reason);
    const leave = () => {
      signal.removeEventListener("abort", abort);
      socket.destroy();
    };
    signal.addEventListener("abort", abort, { once: true });
    socket.on("error", fail);
    socket.once("connect", () => {
      if (isItself(socket)) return fail(new Error("nobody listens there"));
      taken();
      socket.write(text);
    });
    socket.on("data", (piece) => {
      if (!reply.append(piece)) fail(new Error(`gave an answer of more than ${MAX_REPLY} bytes`));
    });
    socket.once("end", () => {
      leave();
      resolve(reply.bytes());
    });
  });
}

/**
 * Whether the connection is to itself. A port out of the range from which the kernel takes ports of
 * outgoing connections, as the usual one is, can be both ends when nobody listens; the answer would
 * then be the request, with the secret in it.
 */
function isItself(socket: Socket): boolean {
  return socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress;
}
