import { notifierSuite, testContext } from "@wkfs/core/testing";
import { describe, it } from "vitest";
import { MailServer, RawServer, closedPort } from "../testing/server.ts";
import { configSchema } from "./config.ts";
import plugin from "./index.ts";

notifierSuite("smtp-email", { describe, it }, async () => {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await MailServer.start({ authOptional: true, disabledCommands: ["STARTTLS"] }));
  const make = async (port: number) => {
    const config = configSchema.parse({ host: "127.0.0.1", port, from: "wkfs@example.org", to: ["ops@example.org"] });
    return plugin.create(config, testContext());
  };
  return {
    make: () => make(server.port),
    received: () => server.mails.length,
    unreachable: async () => make(await closedPort()),
    silent: async (reached) => make(stack.use(await RawServer.start(reached)).port),
    async rejecting() {
      const refusing = await MailServer.start({
        authOptional: true,
        disabledCommands: ["STARTTLS"],
        onRcptTo: (_, __, callback) => callback(Object.assign(new Error("no such user"), { responseCode: 550 })),
      });
      return make(stack.use(refusing).port);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
});
