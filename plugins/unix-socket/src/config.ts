import { z } from "zod";

/** Bytes. The kernel takes 107, and the socket is born under a name that may be longer by 14. */
const LONGEST_PATH = 93;

/** What YAML makes of `0660` is the number 660; of `0o660`, 432. Everybody on the host must never be let in. */
const MODES = new Map([
  ...["0660", "0o660", "660", "432"].map((text) => [text, 0o660] as const),
  ...["0600", "0o600", "600", "384"].map((text) => [text, 0o600] as const),
]);

export const configSchema = z.strictObject({
  path: z
    .string()
    .startsWith("/", "must be absolute")
    .refine((path) => !path.endsWith("/") && !path.includes("\0"), "must be the path of a socket, not of a folder")
    .refine((path) => Buffer.byteLength(path) <= LONGEST_PATH, `must have at most ${LONGEST_PATH} bytes`)
    .describe(
      `The daemon's socket, absolute, at most ${LONGEST_PATH} bytes. Its folder is made where it is not there; it must be the daemon's user's or root's.`,
    ),
  mode: z
    .union([z.string(), z.number()])
    .default("0660")
    .transform((mode, context) => {
      const bits = MODES.get(String(mode));
      if (bits !== undefined) return bits;
      context.addIssue({ code: "custom", message: "must be 0660 or 0600: nobody else may knock", input: mode });
      return z.NEVER;
    })
    .describe("Who may connect, and so knock: `0660` the socket's owner and group, `0600` its owner alone."),
  group: z
    .union([z.string().min(1), z.int().nonnegative()])
    .optional()
    .describe(
      "The socket's group, by name or number: that of the gateway's user. By default `wkfs-gateway`, which `wkfs service install` has made, where the daemon is root or in it; else that of the daemon.",
    ),
});

export type UnixSocketConfig = z.output<typeof configSchema>;
