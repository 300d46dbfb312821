import { once } from "node:events";
import { type AddressInfo, type Server, type Socket, connect, createServer } from "node:net";
import { REQUEST, SECRET } from "./peers.ts";

/** As `src/frames.ts` describes them, and not by its code. */
export const PREFACE = Buffer.from("\0wkfs\0\0\u0001", "latin1");

export interface Frame {
  readonly id: number;
  readonly text: string;
}

/** A frame whose header may say another length than its body has. */
export function frameBytes(id: number, body: string | Uint8Array, size = Buffer.byteLength(body)): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(id, 4);
  return Buffer.concat([header, typeof body === "string" ? Buffer.from(body) : body]);
}

/** One end of a connection that speaks in frames, with nothing of ours in it. It reads when it is asked. */
export class FramePeer implements AsyncDisposable {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  #held = Buffer.alloc(0);
  #ended = false;
  #wake = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    const closed = Promise.withResolvers<void>();
    this.closed = closed.promise;
    socket.pause();
    socket.on("data", (piece) => {
      this.#held = Buffer.concat([this.#held, piece]);
      this.#wake();
    });
    socket.on("end", () => this.#end());
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#end();
      closed.resolve();
    });
  }

  /** A gateway whose first request was taken, by a daemon that went over to frames. */
  static async connect(port: number, message: object = { secret: SECRET, ...REQUEST, frames: 1 }): Promise<FramePeer> {
    const peer = new FramePeer(connect({ host: "127.0.0.1", port, noDelay: true }));
    peer.socket.write(JSON.stringify(message));
    const said = await peer.bytes(PREFACE.length);
    if (!PREFACE.equals(said)) throw new Error(`no preface: ${said.toString()}`);
    peer.socket.write(PREFACE);
    return peer;
  }

  send(id: number, text: string): void {
    this.socket.write(frameBytes(id, text));
  }

  /** The next frame. Rejects at the end of the connection. */
  async frame(): Promise<Frame> {
    const header = await this.bytes(8);
    const size = header.readUInt32BE(0);
    return { id: header.readUInt32BE(4), text: size === 0 ? "" : (await this.bytes(size)).toString() };
  }

  async bytes(count: number): Promise<Buffer> {
    while (this.#held.length < count) {
      if (this.#ended) throw new Error("the connection ended");
      const more = Promise.withResolvers<void>();
      this.#wake = more.resolve;
      this.socket.resume();
      await more.promise;
      this.socket.pause();
    }
    const bytes = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return bytes;
  }

  /** Resolves when the other side has ended the connection; what it says until then is passed over. */
  async gone(): Promise<void> {
    this.socket.resume();
    await this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }

  #end(): void {
    this.#ended = true;
    this.#wake();
  }
}

/** A daemon that goes over to frames on every connection, and does with each request what it is told to. */
export class FrameDaemon implements AsyncDisposable {
  readonly peers: FramePeer[] = [];
  /** Every request, the one in the JSON too. */
  readonly seen: Frame[] = [];
  readonly #server: Server;

  private constructor(act: (peer: FramePeer, frame: Frame) => void, preface: Uint8Array) {
    this.#server = createServer({ noDelay: true }, (socket) => {
      const peer = new FramePeer(socket);
      this.peers.push(peer);
      const take = (frame: Frame) => {
        this.seen.push(frame);
        act(peer, frame);
      };
      void this.#serve(peer, take, preface).catch(() => {});
    });
  }

  static async open(
    act: (peer: FramePeer, frame: Frame) => void,
    {
      preface = PREFACE as Uint8Array,
      listenOn = { port: 0, host: "127.0.0.1" } as { port: number } | { path: string },
    } = {},
  ): Promise<FrameDaemon> {
    const daemon = new FrameDaemon(act, preface);
    daemon.#server.listen(listenOn);
    await once(daemon.#server, "listening");
    return daemon;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async #serve(peer: FramePeer, take: (frame: Frame) => void, preface: Uint8Array): Promise<void> {
    let text = "";
    let first = await peer.bytes(1);
    // Over a Unix socket it begins with the preface; over TCP, with a request in JSON.
    if (first[0] === PREFACE[0]) {
      await peer.bytes(PREFACE.length - 1);
      peer.socket.write(preface);
    } else {
      for (; (text += first.toString()) && !text.endsWith('"frames":1}');) first = await peer.bytes(1);
      peer.socket.write(preface);
      take({ id: 1, text });
      await peer.bytes(PREFACE.length);
    }
    for (;;) take(await peer.frame());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.peers) peer.socket.destroy();
    await once(this.#server.close(), "close");
  }
}
