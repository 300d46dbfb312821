import { type GrantHandler, type GrantRequest, type PluginContext, type Transport, WkfsError } from "@wkfs/core";
import { Caller } from "./caller.ts";
import type { LocalhostTcpConfig } from "./config.ts";
import { Listener } from "./listener.ts";

/** Both sides of the transport; a process uses one of them. */
export class LocalhostTcpTransport implements Transport {
  readonly #config: LocalhostTcpConfig;
  readonly #secret: string;
  readonly #context: PluginContext;
  readonly #caller: Caller;
  #port: number;
  #listener: Listener | undefined;
  #opening: Promise<number> | undefined;
  #closed: Promise<void> | undefined;

  constructor(config: LocalhostTcpConfig, secret: string, context: PluginContext) {
    this.#config = config;
    this.#secret = secret;
    this.#context = context;
    this.#port = config.port;
    this.#caller = new Caller(config, secret, context.clock);
  }

  get addresses(): readonly string[] {
    const { host } = this.#config;
    return [`${host.includes(":") ? `[${host}]` : host}:${this.#port}`];
  }

  async listen(handler: GrantHandler): Promise<void> {
    this.#refuseClosed();
    if (this.#listener !== undefined) {
      throw new WkfsError("STATE_INVALID", "this transport listens already", { hint: "Call listen once." });
    }
    this.#listener = new Listener(this.#config, this.#secret, this.#context, handler);
    this.#opening = this.#listener.open();
    this.#port = await this.#opening;
  }

  async call(request: GrantRequest, signal: AbortSignal): Promise<string> {
    this.#refuseClosed();
    return this.#caller.call({ host: this.#config.host, port: this.#port }, request, signal);
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    await Promise.allSettled([this.#opening]);
    await Promise.all([this.#caller.close(), this.#listener?.close()]);
  }

  #refuseClosed(): void {
    if (this.#closed === undefined) return;
    throw new WkfsError("STATE_INVALID", "this transport is closed", { hint: "Make another one." });
  }
}
