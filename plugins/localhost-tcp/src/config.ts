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
  host: host.describe("A loopback address. A name or any other address is refused, since the secret travels in clear."),
  // A port that the kernel picks would be unknown to the gateway: no 0.
  port: count(33_491, 1, 65_535).describe(
    "The daemon's port, the same on both sides. One below 1024 is better where other users are on the host.",
  ),
  secret: z
    .string()
    .min(1)
    .describe("Path of the file with the secret that gateway and daemon share, 16 to 512 characters."),
  maxConnections: count(256, 1, 10_000).describe(
    "Connections at a time, on either side. The one that gateway and daemon of wkfs share does not count.",
  ),
  maxMessage: count(65_536, 1024, 1_048_576).describe("Largest request in bytes."),
  connectTimeout: seconds(3, 3).describe("Seconds that a gateway waits for a daemon to take the connection."),
  replyTimeout: seconds(60, 60).describe("Seconds that a gateway waits for the answer, and a daemon for its decision."),
  idleTimeout: seconds(30, 300).describe(
    "Seconds that a peer may take from connecting to the last byte of its request.",
  ),
});

export type LocalhostTcpConfig = z.output<typeof configSchema>;

/** Where a daemon listens, as people write it: `127.0.0.1:33491`, `[::1]:33491`. */
export function addressOf(ip: string, port: number): string {
  return `${ip.includes(":") ? `[${ip}]` : ip}:${port}`;
}
