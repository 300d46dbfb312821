/** The program of a further process of the gateway; `Workers` starts it and speaks with it. */
import type { Server as TlsServer } from "node:tls";
import type { Server } from "restify";
import type { GatewayConfig, KeySet } from "../config/index.ts";
import type { Logger } from "../contracts/plugin.ts";
import { systemClock } from "../lifecycle/clock.ts";
import { messageOf } from "../model/errors.ts";
import type { GatewayEvent } from "./event.ts";
import { createFront } from "./front.ts";
import { createHttpServer, tlsOf } from "./http.ts";
import { drain, listenOn } from "./listening.ts";
import type { Requests } from "./requests.ts";
import type { Ask, Reply } from "./upstream.ts";
import type { FromWorker, ToWorker } from "./workers.ts";

const waiting = new Map<number, (reply: Reply) => void>();
let asked = 0;
let server: Server | undefined;
let requests: Requests | undefined;
let since = 0;

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
    case "reload":
      reload(message).then(
        () => say({ did: "reloaded" }),
        (error: unknown) => say({ did: "refuse", error: messageOf(error) }),
      );
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
  const { config, keySets, host, port } = order;
  since = order.since;
  requests = await front(config, keySets);
  server = await createHttpServer(config, () => requests!);
  await listenOn(server, { host, port, reusePort: true });
  server.on("error", (error: Error) => log.warn({ error: messageOf(error) }, "the web server had an error"));
  say({ did: "ready" });
}

function front(config: GatewayConfig, keySets: readonly KeySet[]): Promise<Requests> {
  const tell: (event: GatewayEvent) => void = (event) => say({ did: "tell", event });
  return createFront({ config, keySets, since, upstream: ask, clock: systemClock, log, tell });
}

async function reload({ config, keySets }: Extract<ToWorker, { do: "reload" }>): Promise<void> {
  const next = await front(config, keySets);
  if (config.tls !== undefined) (server!.server as TlsServer).setSecureContext(await tlsOf(config.tls));
  requests = next;
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
