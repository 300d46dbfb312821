/** The program of a further process of the gateway; `Workers` starts it and speaks with it. */
import type { Server } from "restify";
import type { Logger } from "../contracts/plugin.ts";
import { systemClock } from "../lifecycle/clock.ts";
import { messageOf } from "../model/errors.ts";
import type { GatewayEvent } from "./event.ts";
import { createFront } from "./front.ts";
import { createHttpServer } from "./http.ts";
import { drain, listenOn } from "./listening.ts";
import type { Ask, Reply } from "./upstream.ts";
import type { FromWorker, ToWorker } from "./workers.ts";

const waiting = new Map<number, (reply: Reply) => void>();
let asked = 0;
let server: Server | undefined;

const logger = (level: keyof Logger) => (data: object, text: string) => say({ did: "log", level, data, text });
const log: Logger = { debug() {}, info: logger("info"), warn: logger("warn"), error: logger("error") };

process.on("message", (message: ToWorker) => {
  switch (message.do) {
    case "start":
      start(message).catch((error: unknown) => {
        say({ did: "fail", error: messageOf(error) });
        process.disconnect();
      });
      return;
    case "reply":
      waiting.get(message.id)?.(message.reply);
      waiting.delete(message.id);
      return;
    case "stop":
      void stop();
  }
});
// Whoever started us is gone, or let us go; signals of the terminal are for him.
process.on("disconnect", () => process.exit(0));
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});

async function start(order: Extract<ToWorker, { do: "start" }>): Promise<void> {
  const { config, keySets, since, host, port } = order;
  const tell: (event: GatewayEvent) => void = (event) => say({ did: "tell", event });
  const front = await createFront({ config, keySets, since, upstream: ask, clock: systemClock, log, tell });
  server = await createHttpServer(config, front);
  await listenOn(server, { host, port, reusePort: true });
  server.on("error", (error: Error) => log.warn({ error: messageOf(error) }, "the web server had an error"));
  say({ did: "ready" });
}

async function stop(): Promise<void> {
  if (server !== undefined) await drain(server);
  process.disconnect();
}

function ask(question: Ask): Promise<Reply> {
  asked += 1;
  const id = asked;
  say({ did: "ask", id, ask: question });
  return new Promise((resolve) => waiting.set(id, resolve));
}

function say(message: FromWorker): void {
  process.send?.(message);
}
