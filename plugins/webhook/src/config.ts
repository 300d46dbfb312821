import { z } from "zod";

const path = z.string().min(1).max(4096);

/** What stands beside `use: webhook`. */
export const configSchema = z
  .strictObject({
    url: z
      .url({ protocol: /^https?$/, error: "expected a URL that begins with http:// or https://" })
      .optional()
      .describe("Where the request goes. Either `url` or `urlFile`."),
    urlFile: path
      .optional()
      .describe(
        "Path of a file that holds the URL, where the URL itself is the secret, as with Slack, Discord and Teams.",
      ),
    format: z
      .enum(["json", "slack", "discord", "teams", "ntfy"])
      .default("json")
      .describe("What the other side understands."),
    secret: path
      .optional()
      .describe("Path of the file with the key that requests are signed with (Standard Webhooks)."),
    token: path.optional().describe("Path of the file with the token that goes into `Authorization: Bearer`."),
    ca: z
      .string()
      .max(4096)
      .startsWith("/", "expected a full path")
      .optional()
      .describe("A file of PEM certificates to trust in place of the system's."),
    // Core's own limit is 60.
    timeout: z.int().min(1).max(60).default(15).describe("Seconds until the other side must have answered."),
  })
  .refine((config) => (config.url === undefined) !== (config.urlFile === undefined), {
    path: ["url"],
    message: "give one of url and urlFile",
  });

export type WebhookConfig = z.output<typeof configSchema>;
export type Format = WebhookConfig["format"];
