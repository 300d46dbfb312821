import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { messageOf } from "@wkfs/core";
import { type Found, error, ok, warning } from "./finding.ts";

const DAY = 86_400_000;
/** Days before the end at which we begin to say so. */
const SOON = 14;

export interface CertificateFacts {
  readonly cert: string;
  readonly key: string;
  /** Text of the files, or why they cannot be read. */
  readonly certText: string | Error;
  readonly keyText: string | Error;
  /** The name that clients use, where it is known. */
  readonly name: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export function certificateFindings(facts: CertificateFacts): Found[] {
  const { cert, key, certText, keyText, name, now } = facts;
  if (certText instanceof Error) return [error(`cannot read the certificate ${cert}: ${certText.message}`)];
  let read: X509Certificate;
  try {
    read = new X509Certificate(certText);
  } catch (failure) {
    return [error(`${cert} is no certificate: ${messageOf(failure)}`)];
  }
  const found: Found[] = [];
  const renew = "certbot renew  # or what else makes it, and then: systemctl reload wkfs-gateway";
  const [from, until] = [Date.parse(read.validFrom), Date.parse(read.validTo)];
  const days = Math.floor((until - now) / DAY);
  if (until <= now) found.push(error(`the certificate ${cert} ended ${dateOf(until)}`, renew));
  else if (from > now)
    found.push(error(`the certificate ${cert} is for the time from ${dateOf(from)} on`, "date  # is the clock right?"));
  else if (days < SOON) found.push(warning(`the certificate ${cert} ends in ${days} days, ${dateOf(until)}`, renew));
  if (name !== undefined && !isFor(read, name))
    found.push(error(`the certificate ${cert} is not for ${name}, but for ${read.subjectAltName ?? read.subject}`));
  if (keyText instanceof Error) found.push(error(`cannot read the key ${key}: ${keyText.message}`));
  else if (!fits(read, keyText)) found.push(error(`the key ${key} does not belong to the certificate ${cert}`));
  return found.length > 0 ? found : [ok(`the certificate ${cert} fits its key and lasts until ${dateOf(until)}`)];
}

export async function readCertificate(
  { cert, key }: { readonly cert: string; readonly key: string },
  name: string | undefined,
): Promise<CertificateFacts> {
  const text = (path: string) => readFile(path, "utf8").catch((failure: unknown) => new Error(messageOf(failure)));
  return { cert, key, certText: await text(cert), keyText: await text(key), name, now: Date.now() };
}

function isFor(cert: X509Certificate, name: string): boolean {
  const bare = name.replaceAll(/^\[|\]$/g, "");
  return (isIP(bare) === 0 ? cert.checkHost(bare) : cert.checkIP(bare)) !== undefined;
}

function fits(cert: X509Certificate, key: string): boolean {
  try {
    return cert.checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

function dateOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
