import { isIP } from "node:net";
import { parseAddress } from "@wkfs/core";
import { z } from "zod";

const LOOPBACK_HINT =
  "must be a loopback address, because the secret travels in clear; give 127.0.0.1 or ::1 (names are not looked up)";

/** The address as sockets take it: without brackets, in its canonical text. */
const host = z
  .string()
  .default("127.0.0.1")
  .transform((text, context) => {
    const bare = /^\[(.*)\]$/.exec(text)?.[1];
    const loopback = loopbackOf(bare ?? text);
    if (loopback !== undefined && (bare === undefined || loopback.includes(":"))) return loopback;
    context.addIssue({ code: "custom", message: LOOPBACK_HINT, input: text });
    return z.NEVER;
  });

function loopbackOf(text: string): string | undefined {
  // isIP first: parseAddress throws, and it drops a zone, which no loopback address has.
  if (isIP(text) === 0 || text.includes("%")) return undefined;
  let canonical: string;
  try {
    canonical = parseAddress(text).text;
  } catch {
    return undefined;
  }
  return canonical === "::1" || canonical.startsWith("127.") ? canonical : undefined;
}

/** A time in seconds, more than nothing and at most `most`. */
const seconds = (preset: number, most: number) => z.number().positive().max(most).default(preset);
const count = (preset: number, least: number, most: number) => z.int().min(least).max(most).default(preset);

export const configSchema = z.strictObject({
  host,
  /** The same on both sides. A port that the kernel picks would be unknown to the gateway: no 0. */
  port: count(33_491, 1, 65_535),
  /** Path of the file with the secret that both sides share. */
  secret: z.string().min(1),
  /** Connections at a time: those of the daemon's peers, and those of this gateway. */
  maxConnections: count(256, 1, 10_000),
  /** Largest request in bytes. */
  maxMessage: count(65_536, 1024, 1_048_576),
  /** How long a gateway waits for a daemon to take the connection. */
  connectTimeout: seconds(3, 3),
  /** How long a gateway waits for the answer, and a daemon for its own decision. */
  replyTimeout: seconds(60, 60),
  /** How long a peer may take from connecting to the last byte of its request. */
  idleTimeout: seconds(30, 300),
});

export type LocalhostTcpConfig = z.output<typeof configSchema>;

/** Where a daemon listens, as people write it: `127.0.0.1:33491`, `[::1]:33491`. */
export function addressOf(ip: string, port: number): string {
  return `${ip.includes(":") ? `[${ip}]` : ip}:${port}`;
}
