import { createHash, timingSafeEqual } from "node:crypto";
import { WkfsError } from "@wkfs/core";

const SHORTEST = 16;
const LONGEST = 512;

/** Gives the secret back when it can serve as one. Throws `SECRET_INVALID`. */
export function checkSecret(secret: string, path: string): string {
  if (secret.length >= SHORTEST && secret.length <= LONGEST) return secret;
  const fault = secret.length < SHORTEST ? `shorter than ${SHORTEST}` : `longer than ${LONGEST}`;
  throw new WkfsError("SECRET_INVALID", `the transport's secret in ${path} is ${fault} characters`, {
    hint: "Make one with `openssl rand -hex 40` and give the same file to gateway and daemon.",
  });
}

/**
 * Tells whether a value from a peer is the secret, in a time that says nothing about how much of it
 * is right: digests have one length, whatever was sent.
 */
export function secretCheck(secret: string): (value: unknown) => boolean {
  const expected = digest(secret);
  return (value) => typeof value === "string" && timingSafeEqual(digest(value), expected);
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text, "utf8").digest();
}
