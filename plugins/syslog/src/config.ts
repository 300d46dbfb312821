import { programPath } from "@wkfs/exec";
import { z } from "zod";

/** RFC 5424, 6.2.1. */
export const FACILITIES = {
  user: 1,
  daemon: 3,
  auth: 4,
  authpriv: 10,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
} as const;

/** Where entries go. */
export type Target =
  | { readonly kind: "journald" }
  | { readonly kind: "socket"; readonly path: string }
  | { readonly kind: "udp" | "tcp" | "tls"; readonly host: string; readonly port: number };

const target = z
  .string()
  .max(300)
  .transform((text, context): Target => {
    if (text === "journald") return { kind: "journald" };
    // What a Unix socket's address holds.
    if (/^\/[^\0]{1,106}$/.test(text)) return { kind: "socket", path: text };
    const [, kind, host, port] = /^(udp|tcp|tls):\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(text) ?? [];
    if (kind !== undefined && Number(port) >= 1 && Number(port) <= 65_535) {
      return { kind: kind as "udp" | "tcp" | "tls", host: host!.replaceAll(/^\[|\]$/g, ""), port: Number(port) };
    }
    context.addIssue(
      "expected journald, the path of a socket, or such as udp://host:514, tcp://host:601, tls://host:6514",
    );
    return z.NEVER;
  });

/** What stands beside `use: syslog`. */
export const configSchema = z
  .strictObject({
    to: target
      .prefault("/dev/log")
      .describe("A socket, `journald`, or such as `udp://host:514`, `tcp://host:601`, `tls://host:6514`."),
    facility: z
      .enum(Object.keys(FACILITIES) as (keyof typeof FACILITIES)[])
      .default("daemon")
      .describe("The facility of entries."),
    tag: z
      .string()
      .regex(/^[A-Za-z0-9_.-]{1,32}$/, "expected letters, digits and _ . -, at most 32")
      .default("wkfs")
      .describe("The name that entries go by."),
    format: z
      .enum(["rfc5424", "rfc3164"])
      .default("rfc5424")
      .describe("How a message to another host is written. The socket has the local form."),
    framing: z
      .enum(["octet-counting", "newline"])
      .default("octet-counting")
      .describe("How messages are told apart on a TCP or TLS connection (RFC 6587, 3.4)."),
    ca: z
      .string()
      .max(4096)
      .startsWith("/", "expected a full path")
      .optional()
      .describe("A file of PEM certificates to trust in place of the system's, for `tls://`."),
    logger: programPath
      .default("/usr/bin/logger")
      .describe("The logger(1) of util-linux, which writes to the socket and to journald."),
    // Core's own limit is 60.
    timeout: z.int().min(1).max(60).default(15).describe("Seconds that one message may take."),
  })
  .refine((config) => config.ca === undefined || config.to.kind === "tls", {
    path: ["ca"],
    message: "certificates are looked at with tls:// only",
  });

export type SyslogConfig = z.output<typeof configSchema>;
