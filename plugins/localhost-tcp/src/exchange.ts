import { type Socket, connect } from "node:net";
import { BoundedBytes } from "./bytes.ts";
import { PREFACE } from "./frames.ts";
import { MAX_REPLY } from "./message.ts";

export interface Peer {
  readonly host: string;
  readonly port: number;
}

/** Told when the peer speaks in frames, of which this is the first piece: the connection is then theirs. */
export type Switched<Link> = (socket: Socket, piece: Buffer) => Link;

/**
 * Writes `text` on a connection of its own and resolves with all that came back until the peer closed
 * it, or with what `switched` made of the connection. It never half-closes: the PHP program's daemon
 * drops who does. `taken` is called when the peer has the connection and before it has the text. Rejects
 * with the socket's error, with an error of its own, or with the signal's reason; the connection is gone
 * when it settles, unless it was switched.
 */
export function exchange<Link>(
  peer: Peer,
  text: string,
  signal: AbortSignal,
  switched: Switched<Link>,
  taken: () => void,
): Promise<Uint8Array | Link> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const reply = new BoundedBytes(MAX_REPLY);
    const socket = connect({ host: peer.host, port: peer.port, noDelay: true });
    const fail = (reason: unknown) => {
      leave();
      socket.destroy();
      reject(reason);
    };
    const abort = () => fail(signal.reason);
    const read = (piece: Buffer) => {
      if (reply.length === 0 && piece[0] === PREFACE[0]) {
        leave();
        resolve(switched(socket, piece));
      } else if (!reply.append(piece)) fail(new Error(`gave an answer of more than ${MAX_REPLY} bytes`));
    };
    const end = () => {
      leave();
      socket.destroy();
      resolve(reply.bytes());
    };
    const leave = () => {
      signal.removeEventListener("abort", abort);
      socket.off("data", read).off("end", end);
    };
    signal.addEventListener("abort", abort, { once: true });
    // Stays when the rest goes: an error must have a listener to the end.
    socket.on("error", fail);
    socket.once("connect", () => {
      if (isItself(socket)) return fail(new Error("nobody listens there"));
      taken();
      socket.write(text);
    });
    socket.on("data", read);
    socket.once("end", end);
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
