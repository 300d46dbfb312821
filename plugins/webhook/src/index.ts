import { API_VERSION, definePlugin } from "@wkfs/core";
import { configSchema } from "./config.ts";
import { readEndpoint } from "./endpoint.ts";
import { WebhookNotifier } from "./notifier.ts";

/** Tells by an HTTP request, in the form that Slack, Discord, Teams or ntfy understand, or as JSON. */
export default definePlugin({
  name: "webhook",
  apiVersion: API_VERSION,
  kind: "notifier",
  configSchema,
  async create(config, context) {
    // Read again for each request: what is wrong with them shall show at the start.
    await readEndpoint(config, context);
    return new WebhookNotifier(config, context);
  },
});
