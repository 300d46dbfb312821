import { z } from "zod";

/** Bytes. The kernel takes 107, and the socket is born under a name that may be longer by 11. */
const LONGEST_PATH = 96;

/** What YAML makes of `0660` is the number 660; of `0o660`, 432. Everybody on the host must never be let in. */
const MODES: Readonly<Record<string, number>> = {
  "0660": 0o660,
  "0o660": 0o660,
  "660": 0o660,
  "432": 0o660,
  "0600": 0o600,
  "0o600": 0o600,
  "600": 0o600,
  "384": 0o600,
};

export const configSchema = z.strictObject({
  /** Of the socket, absolute. The folder must be there. */
  path: z
    .string()
    .startsWith("/", "must be absolute")
    .refine((path) => !path.endsWith("/") && !path.includes("\0"), "must be the path of a socket, not of a folder")
    .refine((path) => Buffer.byteLength(path) <= LONGEST_PATH, `must have at most ${LONGEST_PATH} bytes`),
  /** Who may connect: 0600 the daemon's own user, 0660 the group too. */
  mode: z
    .union([z.string(), z.number()])
    .default("0660")
    .transform((mode, context) => {
      const bits = MODES[String(mode)];
      if (bits !== undefined) return bits;
      context.addIssue({ code: "custom", message: "must be 0660 or 0600: nobody else may knock", input: mode });
      return z.NEVER;
    }),
  /** The socket's group, by name or number; else that of the daemon's process. */
  group: z.union([z.string().min(1), z.int().nonnegative()]).optional(),
});

export type UnixSocketConfig = z.output<typeof configSchema>;
