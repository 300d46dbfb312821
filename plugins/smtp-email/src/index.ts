import { readFile } from "node:fs/promises";
import { API_VERSION, definePlugin } from "@wkfs/core";
import { configSchema } from "./config.ts";
import { SmtpNotifier } from "./notifier.ts";

/** Tells by e-mail, over SMTP (RFC 5321) with STARTTLS (RFC 3207) or TLS, and a login when one is configured. */
export default definePlugin({
  name: "smtp-email",
  apiVersion: API_VERSION,
  kind: "notifier",
  configSchema,
  async create(config, context) {
    const password = config.password === undefined ? undefined : await context.readSecret(config.password);
    const ca = config.ca === undefined ? undefined : await readFile(config.ca, "utf8");
    return new SmtpNotifier(config, password, ca);
  },
});
