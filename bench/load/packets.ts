import { readFileSync } from "node:fs";
import type { Codec } from "../../core/src/protocol/codec.ts";
import { createV1Codec, encodeFormField } from "../../core/src/protocol/v1.ts";

/** The cryptography of protocol v1 with the keys of a key file. */
export function readCodec(file: string): Codec {
  const hex = JSON.parse(readFileSync(file, "utf8")) as Record<"key1" | "iv1" | "key2" | "iv2" | "sign", string>;
  const bytes = (name: keyof typeof hex) => Buffer.from(hex[name], "hex");
  return createV1Codec({
    key1: bytes("key1"),
    iv1: bytes("iv1"),
    key2: bytes("key2"),
    iv2: bytes("iv2"),
    sign: bytes("sign"),
  });
}

/** A packet as a client posts it, on a connection that is kept. */
export function httpRequest(path: string, host: string, packet: Uint8Array): Buffer {
  const body = `data=${encodeFormField(packet)}`;
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/x-www-form-urlencoded\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`,
  );
}
