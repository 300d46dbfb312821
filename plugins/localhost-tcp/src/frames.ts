/**
 * Frames: many requests at a time on one connection between a gateway and a daemon that are both wkfs.
 *
 * How a connection comes to speak in frames:
 *
 * - Over TCP it begins as in the PHP program: the gateway writes one JSON object. Beside the request it
 *   says `"frames":1`, which the PHP program's daemon passes over; that answers with JSON and closes. A
 *   daemon that can do frames, and accepts the secret, says its preface, whose first byte begins no JSON.
 *   The request in the JSON object is number 1.
 * - Over a Unix socket it speaks in frames from its first byte, and the first request is number 1.
 *
 * What is on it then, in both directions, all numbers unsigned and with the most significant byte first:
 *
 *     preface   8 bytes      00 77 6b 66 73 00 00 01: NUL, "wkfs", NUL, and the version in 16 bits
 *     frame     4 bytes      length of the body
 *               4 bytes      number of the request
 *               the body     UTF-8, JSON text
 *
 * The gateway numbers its requests as it likes, but never 0, and none with the number of one that is not
 * answered yet. The body of a request is `{"ip":…,"ports":…,"time":…,"client":…}`, without the secret. It
 * has at most 1,024 requests under way. The daemon answers each of them once, in any order, with a frame of
 * the same number, whose body is the reply, at most 64 KiB, or empty when it has none to give; the request
 * may have had its effect all the same. A frame from the daemon with number 0 and no body says that it is
 * about to stop: the gateway sends nothing more and closes the connection when it has its answers.
 *
 * Who breaks a rule loses the connection. What was under way on it may have had its effect.
 */
import { BoundedBytes } from "./bytes.ts";

/** What each side says before its first frame. */
export const PREFACE: Uint8Array = Uint8Array.of(0, 0x77, 0x6b, 0x66, 0x73, 0, 0, 1);
/** What a gateway writes into its JSON to ask for frames. */
export const VERSION = 1;
/** The number of no request: the daemon is about to stop. */
export const GOODBYE = 0;
/** The number of the request that was in the JSON. */
export const FIRST = 1;
/** Requests at a time on one connection. */
export const MAX_UNDER_WAY = 1024;

const HEADER = 8;
const FIRST_CAPACITY = 1024;

/**
 * Finds the frames in what arrives. Whole ones are read where they lie; of one that is cut off no more is
 * kept than has come, whatever length it says.
 */
export class FrameReader {
  readonly #limit: number;
  readonly #held: BoundedBytes;
  #greeted = 0;

  /** `limit`: largest body in bytes. */
  constructor(limit: number) {
    this.#limit = limit;
    this.#held = new BoundedBytes(HEADER + limit);
  }

  /** Whether the peer's preface has come. */
  get greeted(): boolean {
    return this.#greeted === PREFACE.length;
  }

  /**
   * Takes a piece and gives its frames to `each`; the body is that only until `each` returns. False when
   * this is not the preface, or a body would be too long: nothing behind it means anything then.
   */
  take(piece: Buffer, each: (id: number, body: Uint8Array) => void): boolean {
    let at = 0;
    for (; !this.greeted && at < piece.length; at += 1, this.#greeted += 1) {
      if (piece[at] !== PREFACE[this.#greeted]) return false;
    }
    while (this.#held.length > 0 && at < piece.length) {
      const end = Math.min(at + this.#missing(), piece.length);
      this.#held.append(piece.subarray(at, end));
      at = end;
      if (this.#held.length < HEADER) continue;
      const frame = this.#held.bytes();
      if (frame.readUInt32BE(0) > this.#limit) return false;
      if (this.#missing() > 0) continue;
      this.#held.clear();
      each(frame.readUInt32BE(4), frame.subarray(HEADER));
    }
    while (piece.length - at >= HEADER) {
      const size = piece.readUInt32BE(at);
      if (size > this.#limit) return false;
      const end = at + HEADER + size;
      if (end > piece.length) break;
      each(piece.readUInt32BE(at + 4), piece.subarray(at + HEADER, end));
      at = end;
    }
    this.#held.append(piece.subarray(at));
    return true;
  }

  /** Bytes that the frame that is held lacks: of its header first, then of its body. */
  #missing(): number {
    const held = this.#held.bytes();
    return (held.length < HEADER ? HEADER : HEADER + held.readUInt32BE(0)) - held.length;
  }
}

/**
 * Gathers the preface and the frames that are written in one turn of the event loop, and sends them as one
 * piece when the turn's input has been dealt with: a system call costs more than all the rest of a request.
 */
export class FrameWriter {
  readonly #send: (bytes: Buffer) => void;
  #block: Buffer = Buffer.allocUnsafe(FIRST_CAPACITY);
  #length = PREFACE.length;
  #turn: NodeJS.Immediate | undefined;

  constructor(send: (bytes: Buffer) => void) {
    this.#send = send;
    this.#block.set(PREFACE);
    this.#turn = setImmediate(() => this.#flush());
  }

  add(id: number, text: string): void {
    const size = Buffer.byteLength(text);
    const start = this.#length;
    this.#length += HEADER + size;
    if (this.#length > this.#block.length) this.#grow(start);
    this.#block.writeUInt32BE(size, start);
    this.#block.writeUInt32BE(id, start + 4);
    this.#block.write(text, start + HEADER);
    this.#turn ??= setImmediate(() => this.#flush());
  }

  /** Forgets what was not sent yet. */
  close(): void {
    clearImmediate(this.#turn);
    this.#length = 0;
  }

  #flush(): void {
    const bytes = this.#block.subarray(0, this.#length);
    // The socket keeps what it is given until it is written.
    this.#block = Buffer.allocUnsafe(FIRST_CAPACITY);
    this.#length = 0;
    this.#turn = undefined;
    this.#send(bytes);
  }

  #grow(used: number): void {
    const block = Buffer.allocUnsafe(Math.max(this.#length, 2 * this.#block.length));
    block.set(this.#block.subarray(0, used));
    this.#block = block;
  }
}
