import { z } from "zod";

/** One address, bare: it goes into the envelope and into a header. */
const address = z
  .string()
  .max(254)
  .regex(/^[^\s<>",;:()[\]\\@]+@[^\s<>",;:()[\]\\@]+$/, "expected one mail address, such as ops@example.org");

/** What stands beside `use: smtp-email`. */
export const configSchema = z
  .strictObject({
    host: z.string().min(1).max(253),
    port: z.number().int().min(1).max(65_535).default(587),
    from: address,
    to: z.array(address).min(1).max(50),
    /** TLS from the first byte on (port 465) rather than STARTTLS. */
    secure: z.boolean().optional(),
    /** Whether a connection that does not become TLS is given up. */
    requireTLS: z.boolean().optional(),
    /** A file of PEM certificates to trust in place of the system's. */
    ca: z.string().min(1).optional(),
    user: z.string().min(1).max(256).optional(),
    /** Path of the file that holds the password. */
    password: z.string().min(1).optional(),
    /** Seconds that the server may take to connect, to greet and to answer. */
    timeout: z.number().int().min(1).max(60).default(30),
  })
  .refine((config) => (config.user === undefined) === (config.password === undefined), {
    path: ["password"],
    message: "user and password go together",
  })
  .transform((config) => ({
    ...config,
    secure: config.secure ?? config.port === 465,
    // A password never goes over a line that others can read.
    requireTLS: config.user !== undefined || (config.requireTLS ?? false),
  }));

export type SmtpConfig = z.output<typeof configSchema>;
