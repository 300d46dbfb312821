import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createV1Codec, decodeFormField, encodeFormField } from "./v1.ts";

interface Vector {
  name: string;
  keyset: string;
  payload_b64: string;
  packet_b64: string;
  form_b64: string;
  rng?: { prefix4: string; suffix4: string; pad: string } | null;
}
const file = new URL("../../../test/data/v1-vectors.json", import.meta.url);
const vectors: {
  keysets: Record<string, Record<"key1" | "iv1" | "key2" | "iv2" | "sign", string>>;
  valid: Vector[];
  invalid: Vector[];
} = JSON.parse(readFileSync(file, "utf8"));

function codecOf(name: string, random?: (size: number) => Uint8Array) {
  const set = vectors.keysets[name]!;
  const bytes = (key: keyof typeof set) => Buffer.from(set[key], "hex");
  return createV1Codec(
    { key1: bytes("key1"), iv1: bytes("iv1"), key2: bytes("key2"), iv2: bytes("iv2"), sign: bytes("sign") },
    random,
  );
}

describe("packets of the PHP program", () => {
  it("has all 72 vectors", () => expect([vectors.valid.length, vectors.invalid.length]).toEqual([30, 42]));

  it.each(vectors.valid)("opens $name", ({ keyset, payload_b64, packet_b64, form_b64 }) => {
    const packet = Buffer.from(packet_b64, "base64");
    expect(decodeFormField(form_b64)).toEqual(packet);
    expect(encodeFormField(packet)).toBe(form_b64);
    expect(Buffer.from(codecOf(keyset).open(packet)!)).toEqual(Buffer.from(payload_b64, "base64"));
  });

  const sealed = vectors.valid.filter((vector) => vector.rng);
  it("has vectors whose random bytes are given", () => expect(sealed.length).toBeGreaterThan(20));
  it.each(sealed)("seals $name to the same bytes", ({ keyset, payload_b64, packet_b64, rng }) => {
    const parts = [rng!.prefix4, rng!.suffix4, rng!.pad].map((hex) => Buffer.from(hex, "hex"));
    const codec = codecOf(keyset, (size) => {
      const part = parts.shift()!;
      expect(part.length).toBe(size);
      return part;
    });
    expect(Buffer.from(codec.seal(Buffer.from(payload_b64, "base64"))).toString("base64")).toBe(packet_b64);
  });

  it.each(vectors.invalid)("refuses $name", ({ keyset, packet_b64 }) => {
    expect(codecOf(keyset).open(Buffer.from(packet_b64, "base64"))).toBeUndefined();
  });
});

describe("packets of our own", () => {
  const codec = codecOf("A");
  it("open to what was sealed, and are as long as the format says", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), (payload) => {
        const packet = codec.seal(payload);
        expect(packet.length).toBe(512 * Math.ceil((payload.length + 32) / 512));
        expect(Buffer.from(codec.open(packet)!)).toEqual(Buffer.from(payload));
        expect(Buffer.from(decodeFormField(encodeFormField(packet)))).toEqual(Buffer.from(packet));
      }),
    );
  });

  it("open to the same payload or not at all, whatever byte is changed", () => {
    const payload = Buffer.from('{"api":"getinfo","ver":1,"ts":1}');
    const packet = codec.seal(payload);
    fc.assert(
      fc.property(fc.nat(packet.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const altered = Buffer.from(packet);
        altered[at]! ^= mask;
        expect(Buffer.from(codec.open(altered) ?? payload)).toEqual(payload);
      }),
    );
  });

  it("are nothing that random bytes could be", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2048 }), (bytes) => {
        expect(codec.open(bytes)).toBeUndefined();
      }),
    );
  });
});

describe("the form field", () => {
  const packet = Buffer.from(vectors.valid[0]!.packet_b64, "base64");
  it.each([
    ["standard base64 with padding", packet.toString("base64")],
    ["line breaks and blanks", packet.toString("base64").replaceAll(/(.{60})/g, "$1\r\n ")],
  ])("is read from %s", (_, text) => expect(decodeFormField(text)).toEqual(packet));
  it("loses what a raw plus became", () => {
    const text = packet.toString("base64");
    expect(text).toContain("+");
    expect(decodeFormField(text.replaceAll("+", " ")).length).not.toBe(packet.length);
  });
});
