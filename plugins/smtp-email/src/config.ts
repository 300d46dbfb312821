import { z } from "zod";

/** One address, bare: it goes into the envelope and into a header. */
const address = z
  .string()
  .max(254)
  .regex(
    /^[\x21\x23-\x27\x2A\x2B\x2D-\x39\x3D\x3F\x41-\x5A\x5E-\x7E]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/,
    "expected one mail address, such as ops@example.org",
  );

/** What stands beside `use: smtp-email`. */
export const configSchema = z
  .strictObject({
    /** Name or address; an IPv6 address with or without brackets. */
    host: z
      .string()
      .max(255)
      .regex(/^(?:[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]?)$/, "expected the name or the address of a host")
      .transform((text) => text.replaceAll(/^\[|\]$/g, "")),
    port: z.int().min(1).max(65_535).default(587),
    from: address,
    to: z.array(address).min(1).max(50),
    /** TLS from the first byte on, rather than STARTTLS; by itself on port 465. */
    secure: z.boolean().optional(),
    /**
     * Whether a connection that does not become TLS, with a certificate that can be trusted, is given up. By itself
     * with a login and with `ca`. Without, TLS is used where the server has it, and its certificate is not looked at:
     * who could show a false one could as well hide that there is TLS.
     */
    requireTLS: z.boolean().optional(),
    /** A file of PEM certificates to trust in place of the system's. */
    ca: z.string().min(1).max(4096).optional(),
    /** The name that the certificate is for, where it is not `host`. */
    servername: z
      .string()
      .max(253)
      .regex(/^[A-Za-z0-9._-]+$/, "expected a host name")
      .optional(),
    user: z.string().min(1).max(256).optional(),
    /** Path of the file that holds the password. */
    password: z.string().min(1).max(4096).optional(),
    /** Seconds that a mail may take, from connecting to the server's last word; core's own limit is 60. */
    timeout: z.int().min(1).max(60).default(30),
    /** What subjects begin with. */
    subjectPrefix: z
      .string()
      .max(60)
      .regex(/^[^\p{C}\p{Zl}\p{Zp}]*$/u, "expected text without control characters")
      .default("wkfs"),
  })
  .refine((config) => (config.user === undefined) === (config.password === undefined), {
    path: ["password"],
    message: "user and password go together",
  })
  .refine((config) => config.requireTLS !== false || config.user === undefined || config.secure === true, {
    path: ["requireTLS"],
    message: "a password does not go over a line that others can read: leave it out, or the login",
  })
  .transform(({ requireTLS, secure, ...config }) => ({
    ...config,
    secure: secure ?? config.port === 465,
    requireTLS: requireTLS ?? (config.user !== undefined || config.ca !== undefined),
  }));

export type SmtpConfig = z.output<typeof configSchema>;
