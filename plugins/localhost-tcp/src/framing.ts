import { BoundedBytes } from "./bytes.ts";
import { parseMessage } from "./message.ts";

/** `more`: may become a message. `whole`: is one. `never`: cannot become one, whatever follows. */
export type Progress = "more" | "whole" | "never";

/** The nesting at which the PHP program stops to decode; it also spares the recursion of others. */
const DEEPEST = 512;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);
const SPACE = new Set([0x20, 0x09, 0x0a, 0x0d]);

/**
 * Finds the end of the one JSON object or array that a peer sends, there being no framing: it ends
 * where its outermost bracket closes. Each byte is looked at once and the whole is decoded once, so a
 * message costs the same in one piece as byte by byte.
 *
 * Only space may follow in the piece that completes it, which is what a decoder of all that came so
 * far would accept; what comes in later pieces is not for this reader.
 */
export class MessageReader {
  readonly #held: BoundedBytes;
  #depth = 0;
  #begun = false;
  #inText = false;
  #escaped = false;
  #message: object | undefined;

  constructor(limit: number) {
    this.#held = new BoundedBytes(limit);
  }

  /** The message, when `take` has said `whole`. */
  get message(): object | undefined {
    return this.#message;
  }

  /** How many bytes are held. */
  get length(): number {
    return this.#held.length;
  }

  take(piece: Uint8Array): Progress {
    if (!this.#held.append(piece)) return "never";
    for (let at = 0; at < piece.length; at += 1) {
      const progress = this.#step(piece[at]!);
      if (progress === "more") continue;
      if (progress === "never") return "never";
      // Of the whole piece, so that anything but space behind the end makes it undecodable.
      this.#message = parseMessage(this.#held.bytes());
      return this.#message === undefined ? "never" : "whole";
    }
    return "more";
  }

  #step(byte: number): Progress {
    if (this.#inText) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) this.#inText = false;
      return "more";
    }
    if (OPENING.has(byte)) {
      this.#begun = true;
      this.#depth += 1;
      return this.#depth > DEEPEST ? "never" : "more";
    }
    if (!this.#begun) return SPACE.has(byte) ? "more" : "never";
    if (byte === QUOTE) this.#inText = true;
    else if (CLOSING.has(byte)) this.#depth -= 1;
    return this.#depth === 0 ? "whole" : "more";
  }
}
