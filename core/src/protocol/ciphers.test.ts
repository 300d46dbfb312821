import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createCbc, createHmacSha1, createRandomPool } from "./ciphers.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const key = fc.oneof(bytes(16), bytes(24), bytes(32));
const message = fc.nat(40).chain((blocks) => bytes(blocks * 16));

describe("a kept cipher", () => {
  it("gives what a new one gives, whatever it has done before", () => {
    const steps = fc.array(fc.record({ encrypt: fc.boolean(), data: message }), { maxLength: 20 });
    fc.assert(
      fc.property(key, bytes(16), steps, (secret, iv, all) => {
        const kept = createCbc(secret, iv);
        const name = `aes-${secret.length * 8}-cbc`;
        for (const { encrypt, data } of all) {
          const fresh = (encrypt ? createCipheriv : createDecipheriv)(name, secret, iv).setAutoPadding(false);
          const expected = fresh.update(data);
          expect(encrypt ? kept.encrypt(Buffer.from(data)) : kept.decrypt(data)).toEqual(expected);
        }
      }),
    );
  });

  it("leaves what it decrypts as it is", () => {
    const data = Buffer.alloc(512, 7);
    createCbc(Buffer.alloc(32, 1), Buffer.alloc(16, 2)).decrypt(data);
    expect(data).toEqual(Buffer.alloc(512, 7));
  });
});

describe("a kept HMAC", () => {
  it("is node:crypto's, for keys and messages of any length, one after the other", () => {
    const messages = fc.array(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.nat(9000).map(Buffer.alloc)), {
      maxLength: 9,
    });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), messages, (secret, all) => {
        const kept = createHmacSha1(secret);
        for (const one of all) expect(kept(one)).toEqual(createHmac("sha1", secret).update(one).digest());
      }),
    );
  });
});

describe("the pool of random bytes", () => {
  it("gives every byte once, also beyond its size", () => {
    const random = createRandomPool();
    const seen = new Set<string>();
    for (let count = 0; count < 10_000; count += 1) seen.add(Buffer.from(random(16)).toString("hex"));
    expect(seen.size).toBe(10_000);
    expect(random(100_000)).toHaveLength(100_000);
  });
});
