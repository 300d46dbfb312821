import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { WkfsError } from "../model/errors.ts";
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
export function createV1Codec(keys: V1Keys, random: (size: number) => Uint8Array = randomBytes): Codec {
  const inner = layer(keys.key1, keys.iv1);
  const outer = layer(keys.key2, keys.iv2);
  const tagOf = (payload: Uint8Array) => createHmac("sha1", keys.sign).update(payload).digest();

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
      const turned = Buffer.concat([once.subarray(-1), once.subarray(0, -1)]);
      return outer.encrypt(turned);
    },

    open(packet) {
      if (packet.length === 0 || packet.length % BLOCK !== 0) throw invalid();
      const turned = outer.decrypt(packet);
      const once = Buffer.concat([turned.subarray(1), turned.subarray(0, 1)]);
      const block = inner.decrypt(once);
      const length = block.readUInt32BE(4);
      if (length > block.length - OVERHEAD) throw invalid();
      const payload = block.subarray(PREFIX, PREFIX + length);
      const tag = block.subarray(PREFIX + length, PREFIX + length + TAG);
      if (!timingSafeEqual(tag, tagOf(payload))) throw invalid();
      return payload;
    },
  };
}

/** All failures look alike: a peer without the keys learns nothing from the difference. */
function invalid(): WkfsError {
  return new WkfsError("PACKET_INVALID", "the packet was not sealed with these keys", {
    hint: "Check that both sides use the same key file.",
  });
}

/** AES-CBC without padding, with keys and IVs of odd lengths fitted as the PHP program's OpenSSL does. */
function layer(key: Uint8Array, iv: Uint8Array) {
  const size = key.length <= 16 ? 16 : key.length <= 24 ? 24 : 32;
  const cipher = `aes-${size * 8}-cbc`;
  const fittedKey = fit(key, size);
  const fittedIv = fit(iv, 16);
  return {
    encrypt(data: Uint8Array): Buffer {
      return createCipheriv(cipher, fittedKey, fittedIv).setAutoPadding(false).update(data);
    },
    decrypt(data: Uint8Array): Buffer {
      return createDecipheriv(cipher, fittedKey, fittedIv).setAutoPadding(false).update(data);
    },
  };
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
  return Buffer.from(
    text
      .replaceAll("-", "+")
      .replaceAll("_", "/")
      .replaceAll(/[^A-Za-z0-9+/]/g, ""),
    "base64",
  );
}

/** The form field `data` as the PHP client writes it: URL-safe alphabet, no padding. */
export function encodeFormField(packet: Uint8Array): string {
  return Buffer.from(packet).toString("base64url");
}
