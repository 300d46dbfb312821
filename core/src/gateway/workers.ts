import { type ChildProcess, fork } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { GatewayConfig, KeySet } from "../config/index.ts";
import type { Clock, Logger } from "../contracts/plugin.ts";
import { WkfsError } from "../model/errors.ts";
import type { GatewayEvent } from "./event.ts";
import type { Ask, Reply, Upstream } from "./upstream.ts";

/** What a worker is told to do, in the order of its life. */
export type ToWorker =
  | {
      readonly do: "start";
      readonly config: GatewayConfig;
      readonly keySets: readonly KeySet[];
      readonly host: string;
      readonly port: number;
      readonly since: number;
    }
  | { readonly do: "reload"; readonly config: GatewayConfig; readonly keySets: readonly KeySet[] }
  | { readonly do: "reply"; readonly id: number; readonly reply: Reply }
  | { readonly do: "stop" };

/** What a worker says. */
export type FromWorker =
  | { readonly did: "ready" }
  | { readonly did: "fail"; readonly error: string }
  | { readonly did: "reloaded" }
  | { readonly did: "refuse"; readonly error: string }
  | { readonly did: "ask"; readonly id: number; readonly ask: Ask }
  | { readonly did: "tell"; readonly event: GatewayEvent }
  | { readonly did: "log"; readonly level: keyof Logger; readonly data: object; readonly text: string };

export interface WorkerParts {
  readonly config: GatewayConfig;
  readonly keySets: readonly KeySet[];
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly log: Logger;
  readonly tell: (event: GatewayEvent) => void;
}

/** Milliseconds for a worker to begin to listen, and for one to end before it is killed. */
const START_LIMIT = 30_000;
const STOP_LIMIT = 7000;
/** Milliseconds before a worker that died is replaced: one that dies at once must not be all that the host does. */
const REPLACE = 1000;

/**
 * Further processes that serve the same address. The kernel spreads connections over them (SO_REUSEPORT, socket(7));
 * what they ask the daemon goes through this process, so there is one memory of repeats. They hold the keys and no
 * transport secret, and end when this process does.
 */
export class Workers {
  readonly #parts: WorkerParts;
  readonly #children = new Set<ChildProcess>();
  /** What a worker is started with from now on. */
  #order: Extract<ToWorker, { do: "start" }> | undefined;
  readonly #timers = new Set<() => void>();
  #stopping = false;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
  }

  /** Resolves when `count` workers listen; rejects with `HOST_UNSUPPORTED`, and the others ended, when one cannot. */
  async start(count: number, host: string, port: number, since: number): Promise<void> {
    const { config, keySets } = this.#parts;
    const order = { do: "start", config, keySets, host, port, since } as const;
    this.#order = order;
    try {
      await Promise.all(Array.from({ length: count }, () => this.#fork(order)));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Resolves when all take their keys from this configuration; rejects with `CONFIG_INVALID` when one does not. */
  async reload(config: GatewayConfig, keySets: readonly KeySet[]): Promise<void> {
    if (this.#order === undefined) return;
    this.#order = { ...this.#order, config, keySets };
    await Promise.all(
      Array.from(this.#children, async (child) => {
        const { promise, resolve } = Promise.withResolvers<string | undefined>();
        const hear = (message: FromWorker): void => {
          if (message.did === "reloaded") resolve(undefined);
          if (message.did === "refuse") resolve(message.error);
        };
        // One that ends is replaced by one that has the new keys.
        const ended = (): void => resolve(undefined);
        child.on("message", hear);
        child.once("exit", ended);
        tell(child, { do: "reload", config, keySets });
        const refused = await promise;
        child.off("message", hear);
        child.off("exit", ended);
        if (refused === undefined) return;
        throw new WkfsError(
          "CONFIG_INVALID",
          `a worker of the gateway does not take the new configuration: ${refused}`,
          {
            hint: "Look at the key files, or restart the gateway.",
          },
        );
      }),
    );
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const cancel of this.#timers) cancel();
    await Promise.all(
      Array.from(this.#children, (child) => {
        const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
        const impatient = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT);
        tell(child, { do: "stop" });
        return ended.then(() => clearTimeout(impatient));
      }),
    );
  }

  #fork(order: ToWorker): Promise<void> {
    const { log } = this.#parts;
    const program = fileURLToPath(new URL(`./worker${extname(import.meta.url)}`, import.meta.url));
    const child = fork(program, [], { execArgv: [], stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#children.add(child);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const impatient = setTimeout(() => child.kill("SIGKILL"), START_LIMIT);
    let why = "it ended";
    let running = false;
    child.on("message", (message: FromWorker) => {
      switch (message.did) {
        case "ready":
          running = true;
          clearTimeout(impatient);
          return resolve();
        case "fail":
          why = message.error;
          return;
        case "ask":
          void this.#parts.upstream(message.ask).then((reply) => tell(child, { do: "reply", id: message.id, reply }));
          return;
        case "tell":
          return this.#parts.tell(message.event);
        case "log":
          return log[message.level](message.data, message.text);
      }
    });
    child.on("error", (error) => (why = error.message));
    child.on("exit", (code, signal) => {
      clearTimeout(impatient);
      this.#children.delete(child);
      reject(
        new WkfsError("HOST_UNSUPPORTED", `a worker of the gateway did not start: ${why}`, {
          hint: "Look above in the log, or set gateway.workers to 1.",
        }),
      );
      if (this.#stopping || !running) return;
      log.error({ code, signal }, "a worker of the gateway ended; another takes its place");
      this.#replace();
    });
    tell(child, order);
    return promise;
  }

  #replace(): void {
    const cancel = this.#parts.clock.setTimer(REPLACE, () => {
      this.#timers.delete(cancel);
      this.#fork(this.#order!).catch(() => {
        if (!this.#stopping) this.#replace();
      });
    });
    this.#timers.add(cancel);
  }
}

/** To a worker that is gone there is nothing to say. */
function tell(child: ChildProcess, message: ToWorker): void {
  if (child.connected) child.send(message, () => {});
}
