import { z } from "zod";

const path = z.string().min(1).max(4096);

/** What stands beside `use: webhook`. */
export const configSchema = z
  .strictObject({
    url: z.url({ protocol: /^https?$/, error: "expected a URL that begins with http:// or https://" }).optional(),
    /** Path of a file that holds the URL, where the URL itself is the secret, as with Slack, Discord and Teams. */
    urlFile: path.optional(),
    /** What the other side understands. */
    format: z.enum(["json", "slack", "discord", "teams", "ntfy"]).default("json"),
    /** Path of the file with the key that requests are signed with. */
    secret: path.optional(),
    /** Path of the file with the token that goes into `Authorization: Bearer`. */
    token: path.optional(),
    /** A file of PEM certificates to trust in place of the system's. */
    ca: z.string().max(4096).startsWith("/", "expected a full path").optional(),
    /** Seconds until the other side must have answered; core's own limit is 60. */
    timeout: z.int().min(1).max(60).default(15),
  })
  .refine((config) => (config.url === undefined) !== (config.urlFile === undefined), {
    path: ["url"],
    message: "give one of url and urlFile",
  });

export type WebhookConfig = z.output<typeof configSchema>;
export type Format = WebhookConfig["format"];
