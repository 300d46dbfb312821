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
    host: z
      .string()
      .max(255)
      .regex(/^(?:[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]?)$/, "expected the name or the address of a host")
      .transform((text) => text.replaceAll(/^\[|\]$/g, ""))
      .describe("The mail server, by name or address; an IPv6 address with or without brackets."),
    port: z.int().min(1).max(65_535).default(587).describe("Its port; 465 means TLS from the first byte."),
    from: address.describe("The sender, a bare address."),
    to: z.array(address).min(1).max(50).describe("The receivers, bare addresses."),
    secure: z
      .boolean()
      .optional()
      .describe("TLS from the first byte on, in place of STARTTLS; by default on port 465 only."),
    // Without, the certificate is not looked at: who could show a false one could as well hide that there is TLS.
    requireTLS: z
      .boolean()
      .optional()
      .describe(
        "Give up a connection that does not become TLS with a certificate that can be trusted; by default with a login or `ca`. Else TLS is used where the server has it.",
      ),
    ca: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe("A file of PEM certificates to trust in place of the system's."),
    servername: z
      .string()
      .max(253)
      .regex(/^[A-Za-z0-9._-]+$/, "expected a host name")
      .optional()
      .describe("The name that the server's certificate is for, where it is not `host`."),
    user: z.string().min(1).max(256).optional().describe("Name of a login, which needs TLS."),
    password: z.string().min(1).max(4096).optional().describe("Path of the file that holds the password."),
    // Core's own limit is 60.
    timeout: z.int().min(1).max(60).default(30).describe("Seconds that one mail may take."),
    subjectPrefix: z
      .string()
      .max(60)
      .regex(/^[^\p{C}\p{Zl}\p{Zp}]*$/u, "expected text without control characters")
      .default("wkfs")
      .describe("What subjects begin with."),
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
