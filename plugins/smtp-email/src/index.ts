import { API_VERSION, definePlugin } from "@wkfs/core";
import { configSchema } from "./config.ts";
import { readCredentials } from "./credentials.ts";
import { SmtpNotifier } from "./notifier.ts";

/** Tells by e-mail, over SMTP (RFC 5321) with STARTTLS (RFC 3207) or TLS, and a login when one is configured. */
export default definePlugin({
  name: "smtp-email",
  apiVersion: API_VERSION,
  kind: "notifier",
  configSchema,
  async create(config, context) {
    // Read again for each mail: what is wrong with them shall show at the start, and what was mended shall do at once.
    await readCredentials(config, context);
    return new SmtpNotifier(config, context);
  },
});
