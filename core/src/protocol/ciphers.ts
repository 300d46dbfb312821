import { createCipheriv, createDecipheriv, hash, randomFillSync } from "node:crypto";

/**
 * AES-CBC and HMAC-SHA1 without an object a message. Making one costs ten times what it then does (OpenSSL 3 looks
 * the algorithm up each time), so ciphers are made once a key and kept.
 *
 * - Decryption of CBC is decryption of each block by itself, XORed with the block of ciphertext before it. The
 *   former is ECB, which keeps no state.
 * - Encryption of CBC keeps the last block of ciphertext and XORs the next plaintext with it. So a kept encryptor
 *   starts anew with an IV when the first block is XORed beforehand with that last block and the IV.
 *
 * NIST SP 800-38A, sections 6.1 and 6.2; RFC 2104. The tests hold all of it against node:crypto's own one-shot way.
 */

export const AES_BLOCK = 16;
const SHA1_BLOCK = 64;
/** The longest message whose digest needs no buffer of its own; a knock has less than a thousand bytes. */
const SCRATCH = 4096;
const POOL = 65_536;

/** Messages of whole blocks, without padding; each begins with the same IV. */
export interface Cbc {
  /** May change `data`. */
  encrypt(data: Buffer): Buffer;
  decrypt(data: Uint8Array): Buffer;
}

/** `key` of 16, 24 or 32 bytes, `iv` of 16. */
export function createCbc(key: Uint8Array, iv: Uint8Array): Cbc {
  const bits = key.length * 8;
  const encryptor = createCipheriv(`aes-${bits}-cbc`, key, iv).setAutoPadding(false);
  const decryptor = createDecipheriv(`aes-${bits}-ecb`, key, null).setAutoPadding(false);
  const last = Buffer.from(iv);
  return {
    encrypt(data) {
      if (data.length === 0) return data;
      for (let at = 0; at < AES_BLOCK; at += 1) data[at]! ^= last[at]! ^ iv[at]!;
      const encrypted = encryptor.update(data);
      encrypted.copy(last, 0, encrypted.length - AES_BLOCK);
      return encrypted;
    },
    decrypt(data) {
      const plain = decryptor.update(data);
      for (let at = 0; at < AES_BLOCK; at += 1) plain[at]! ^= iv[at]!;
      for (let at = AES_BLOCK; at < plain.length; at += 1) plain[at]! ^= data[at - AES_BLOCK]!;
      return plain;
    },
  };
}

/** HMAC-SHA1 under one key, as a function of the message. */
export function createHmacSha1(key: Uint8Array): (message: Uint8Array) => Buffer {
  const fitted = key.length > SHA1_BLOCK ? hash("sha1", key, "buffer") : key;
  const inner = Buffer.alloc(SHA1_BLOCK + SCRATCH, 0x36);
  const outer = Buffer.alloc(SHA1_BLOCK + 20, 0x5c);
  for (const [at, byte] of fitted.entries()) {
    inner[at]! ^= byte;
    outer[at]! ^= byte;
  }
  return (message) => {
    const text =
      message.length <= SCRATCH
        ? inner.subarray(0, SHA1_BLOCK + message.length)
        : Buffer.concat([inner.subarray(0, SHA1_BLOCK), message]);
    text.set(message, SHA1_BLOCK);
    outer.set(hash("sha1", text, "buffer"), SHA1_BLOCK);
    return hash("sha1", outer, "buffer");
  };
}

/** Random bytes from a pool that is filled in one go. A slice is good until the next pool; copy what is kept. */
export function createRandomPool(): (size: number) => Uint8Array {
  const pool = Buffer.alloc(POOL);
  let at = POOL;
  return (size) => {
    if (size > POOL) return randomFillSync(Buffer.alloc(size));
    if (at + size > POOL) {
      randomFillSync(pool);
      at = 0;
    }
    at += size;
    return pool.subarray(at - size, at);
  };
}
