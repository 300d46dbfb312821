import { API_VERSION, WkfsError, definePlugin, messageOf } from "@wkfs/core";
import { z } from "zod";

export default definePlugin({
  name: "example",
  apiVersion: API_VERSION,
  kind: "notifier",
  configSchema: z.strictObject({ url: z.url() }),
  create: ({ url }) => ({
    async notify(notification, signal) {
      const request = { method: "POST", body: JSON.stringify(notification), signal };
      const response = await fetch(url, request).catch((error: unknown) => {
        throw new WkfsError("NOTIFY_FAILED", `no answer from ${url}: ${messageOf(error)}`);
      });
      if (response.ok) return;
      const code = response.status < 500 ? "NOTIFY_REJECTED" : "NOTIFY_FAILED";
      throw new WkfsError(code, `${url} answered with status ${response.status}`);
    },
    async close() {},
  }),
});
