import { z } from "zod";
import { parseNetwork } from "../model/address.ts";
import { EVENT_TYPES, TOLD } from "../model/event.ts";
import { isPortNumber } from "../model/port.ts";

/**
 * What may stand in the two configuration files. All objects are strict: an unknown key is an error.
 * What stands beside `use:` belongs to the plugin and is checked by the plugin's own schema. What the keys mean is in
 * descriptions.ts, which is read by who prints it and by no role: zod takes 0.1 ms to describe a key, at every start.
 */

const UNITS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** A time in whole seconds: a number, or a text such as "90s", "10m", "2h". */
const seconds = z
  .union([z.number(), z.string().regex(/^\d{1,9}[smhd]$/, 'expected seconds, or a text such as "90s", "10m" or "2h"')])
  .transform((value) =>
    typeof value === "number" ? value : Number(value.slice(0, -1)) * UNITS[value.at(-1) as keyof typeof UNITS],
  )
  .pipe(
    z
      .number()
      .int("expected whole seconds")
      .min(1)
      .max(2_147_483, "2147483 seconds are the most that the kernel counts"),
  );

const portNumber = z.number().refine(isPortNumber, "expected a port, 1 to 65535");
const portList = z
  .array(portNumber)
  .max(1024)
  .refine((ports) => new Set(ports).size === ports.length, "a port stands here twice");

const network = z.string().superRefine((text, context) => {
  try {
    parseNetwork(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message });
  }
});

/** A plugin and its own configuration, which is not looked into here. */
const plugin = z.looseObject({ use: z.string().min(1).max(200) });

/** A plugin that tells, and of which events. */
const notifier = plugin.extend({
  events: z
    .array(z.enum(EVENT_TYPES))
    .min(1)
    .max(EVENT_TYPES.length)
    .default([...TOLD]),
});

const keySetName = z
  .string()
  .regex(/^[A-Za-z0-9][\w.@-]{0,63}$/, "expected a name of letters, digits and _ . @ -, at most 64");
const keySet = z.strictObject({
  name: keySetName,
  keys: z.string().min(1),
  tcp: portList.optional(),
  udp: portList.optional(),
  maxTime: seconds.optional(),
});

const address = z
  .string()
  .regex(
    /^(unix:\/.+|\[[0-9a-fA-F:.]+\]:\d{1,5}|[^\s:/]+:\d{1,5})$/,
    'expected "host:port", "[v6]:port" or "unix:/path"',
  );

/** Bytes of a socket's path: the kernel takes 107, and the socket is born under a name that is longer by 14. */
const LONGEST_SOCKET = 93;

export const serverSchema = z.strictObject({
  protect: z
    .strictObject({ tcp: portList.default([]), udp: portList.default([]), maxTime: seconds.prefault(600) })
    .refine((protect) => protect.tcp.length + protect.udp.length > 0, "no port to protect: give tcp or udp"),
  gateway: z
    .strictObject({
      listen: address.default("127.0.0.1:8080"),
      path: z.string().regex(/^\/[\w./~-]*$/, "expected a path such as /8f3c0c5e"),
      trustedProxies: z.array(network).max(256).default([]),
      keys: z.union([z.string().min(1), z.array(keySet).min(1).max(256)]),
      workers: z.number().int().min(1).max(64).default(1),
      tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
    })
    .refine(
      ({ listen, workers }) => workers === 1 || !listen.startsWith("unix:"),
      "several workers need a TCP address in gateway.listen",
    )
    .optional(),
  transport: plugin.optional(),
  firewall: z.array(plugin).min(1).max(16).optional(),
  store: plugin.optional(),
  notify: z.array(notifier).max(16).default([]),
  control: z
    .strictObject({
      path: z
        .string()
        .startsWith("/", "must be absolute")
        .refine((path) => Buffer.byteLength(path) <= LONGEST_SOCKET, `must have at most ${LONGEST_SOCKET} bytes`),
      group: z.union([z.string().min(1), z.int().nonnegative()]).optional(),
    })
    .optional(),
  /** Where the record of an activation is kept, for stores that have no folder of their own. */
  rescue: z.strictObject({ path: z.string().startsWith("/", "must be absolute") }).optional(),
  limits: z
    .strictObject({
      leases: z.number().int().min(1).max(10_000_000).default(100_000),
      leasesPerAddress: z.number().int().min(1).max(10_000_000).default(256),
      knocksPerSecond: z.number().int().min(1).max(1_000_000).default(20),
    })
    .prefault({}),
});

export const clientSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/, error: "expected a URL that begins with http:// or https://" }),
  keys: z.string().min(1),
  tcp: portList.optional(),
  udp: portList.optional(),
  maxTime: seconds.optional(),
  ca: z.string().min(1).optional(),
});

/** The five values as the PHP program prints them. Lengths that PHP would fit to size are taken. */
const hex = (least: number) =>
  z
    .string()
    .regex(/^([0-9a-fA-F]{2})+$/, "expected hexadecimal digits, two a byte")
    .min(least * 2, `expected at least ${least} bytes`)
    .max(512);
export const keysSchema = z.strictObject({ key1: hex(16), iv1: hex(1), key2: hex(16), iv2: hex(1), sign: hex(16) });
