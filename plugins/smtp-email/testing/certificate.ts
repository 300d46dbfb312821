import { type KeyObject, generateKeyPairSync, sign } from "node:crypto";

/** A certificate that signs itself, for `localhost`, 127.0.0.1 and ::1, valid for a day around now; PEM. */
export function selfSigned(): { readonly key: string; readonly cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const cert = pem("CERTIFICATE", certificate(privateKey, publicKey));
  return { key: pem("PRIVATE KEY", privateKey.export({ type: "pkcs8", format: "der" })), cert };
}

/** X.509 version 3 in DER (RFC 5280, 4.1), as far as a self-signed certificate of a test needs it. */
function certificate(privateKey: KeyObject, publicKey: KeyObject): Buffer {
  const ecdsaWithSha256 = sequence(identifier("2a8648ce3d040302"));
  const name = sequence(set(sequence(identifier("550403"), der(0x0c, Buffer.from("wkfs test")))));
  const day = 86_400_000;
  const validity = sequence(time(Date.now() - day), time(Date.now() + day));
  const names = sequence(
    der(0x82, Buffer.from("localhost")),
    der(0x87, Buffer.from([127, 0, 0, 1])),
    der(0x87, Buffer.from([...Array<number>(15).fill(0), 1])),
  );
  const extensions = sequence(
    sequence(identifier("551d11"), der(0x04, names)),
    sequence(identifier("551d13"), der(0x01, Buffer.from([0xff])), der(0x04, sequence(der(0x01, Buffer.from([0xff]))))),
  );
  const body = sequence(
    der(0xa0, integer(2)),
    integer(Math.floor(Math.random() * 127) + 1),
    ecdsaWithSha256,
    name,
    validity,
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, extensions),
  );
  const signature = Buffer.concat([Buffer.from([0]), sign("sha256", body, privateKey)]);
  return sequence(body, ecdsaWithSha256, der(0x03, signature));
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...parts: Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function set(...parts: Buffer[]): Buffer {
  return der(0x31, Buffer.concat(parts));
}

function identifier(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, "hex"));
}

/** 0 to 127. */
function integer(value: number): Buffer {
  return der(0x02, Buffer.from([value]));
}

function time(at: number): Buffer {
  return der(0x18, Buffer.from(new Date(at).toISOString().replaceAll(/[-:T]|\.\d+/g, "")));
}

function pem(label: string, content: Buffer): string {
  const lines = content.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
