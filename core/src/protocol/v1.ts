import { timingSafeEqual } from "node:crypto";
import { AES_BLOCK, type Cbc, createCbc, createHmacSha1, createRandomPool } from "./ciphers.ts";
import type { Codec } from "./codec.ts";

/**
 * The packet of protocol v1. Plaintext, before two layers of AES-CBC:
 *
 *     0      4 random bytes
 *     4      n, the payload's length in bytes, unsigned 32-bit big-endian
 *     8      payload
 *     8+n    HMAC-SHA1 of the payload alone (20 bytes)
 *     28+n   4 random bytes, then random bytes up to the next multiple of 512
 *
 * Sealing encrypts with key1/iv1, moves the last byte to the front, encrypts with key2/iv2. The IVs
 * are fixed by the format, and the padding is not authenticated: two packets of different bytes can
 * be the same request, so whoever looks for replays looks at the payload.
 */
const BLOCK = 512;
const PREFIX = 8;
const TAG = 20;
const SUFFIX = 4;
const OVERHEAD = PREFIX + TAG + SUFFIX;

/** The five values of a key set, as bytes. */
export interface V1Keys {
  readonly key1: Uint8Array;
  readonly iv1: Uint8Array;
  readonly key2: Uint8Array;
  readonly iv2: Uint8Array;
  readonly sign: Uint8Array;
}

/** `random` gives that many random bytes: the prefix, the suffix, the padding, in this order. */
export function createV1Codec(keys: V1Keys, random: (size: number) => Uint8Array = createRandomPool()): Codec {
  const inner = layer(keys.key1, keys.iv1);
  const outer = layer(keys.key2, keys.iv2);
  const tagOf = createHmacSha1(keys.sign);

  return {
    seal(payload) {
      const block = Buffer.alloc(Math.ceil((payload.length + OVERHEAD) / BLOCK) * BLOCK);
      block.set(random(4), 0);
      block.writeUInt32BE(payload.length, 4);
      block.set(payload, PREFIX);
      block.set(tagOf(payload), PREFIX + payload.length);
      block.set(random(SUFFIX), PREFIX + payload.length + TAG);
      const padded = payload.length + OVERHEAD;
      if (padded < block.length) block.set(random(block.length - padded), padded);

      const once = inner.encrypt(block);
      const last = once[once.length - 1]!;
      once.copyWithin(1, 0);
      once[0] = last;
      return outer.encrypt(once);
    },

    open(packet) {
      if (packet.length === 0 || packet.length % BLOCK !== 0) return undefined;
      // The length stands in the first block. Garbage has one that fits once in millions, so its size costs nothing.
      const first = inner.decrypt(outer.decrypt(packet.subarray(0, 2 * AES_BLOCK)).subarray(1, 1 + AES_BLOCK));
      const size = first.readUInt32BE(4);
      if (size > packet.length - OVERHEAD) return undefined;
      const once = outer.decrypt(packet);
      const front = once[0]!;
      once.copyWithin(0, 1);
      once[once.length - 1] = front;
      const block = inner.decrypt(once);
      const payload = block.subarray(PREFIX, PREFIX + size);
      const tag = block.subarray(PREFIX + size, PREFIX + size + TAG);
      return timingSafeEqual(tag, tagOf(payload)) ? payload : undefined;
    },
  };
}

/** AES-CBC without padding, with keys and IVs of odd lengths fitted as the PHP program's OpenSSL does. */
function layer(key: Uint8Array, iv: Uint8Array): Cbc {
  return createCbc(fit(key, key.length <= 16 ? 16 : key.length <= 24 ? 24 : 32), fit(iv, 16));
}

function fit(bytes: Uint8Array, size: number): Buffer {
  const fitted = Buffer.alloc(size);
  fitted.set(bytes.subarray(0, size));
  return fitted;
}

/**
 * Reads the form field `data`: base64, `-_` or `+/`, with or without `=`. Characters outside the
 * alphabet are skipped, as PHP does; what is missing then shows in the packet's length.
 */
export function decodeFormField(text: string): Buffer {
  // Node takes both alphabets; only what is in neither has to be taken out.
  return Buffer.from(/[^\w+/-]/.test(text) ? text.replaceAll(/[^\w+/-]/g, "") : text, "base64");
}

/** The form field `data` as the PHP client writes it: URL-safe alphabet, no padding. */
export function encodeFormField(packet: Uint8Array): string {
  return Buffer.from(packet).toString("base64url");
}
