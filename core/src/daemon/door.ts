import type { GrantHandler, Transport } from "../contracts/transport.ts";

/**
 * Where requests come in. It outlives a daemon that hands over to another: the transport listens on, and whoever asks meanwhile
 * waits for the next one instead of being turned away.
 */
export class Door {
  readonly #transport: Transport;
  #listening = false;
  #open: GrantHandler | undefined;
  #former: GrantHandler | undefined;
  #next = Promise.withResolvers<GrantHandler>();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** From now on this handler answers, also those who wait. Rejects as the transport does. */
  async open(handler: GrantHandler): Promise<void> {
    this.#open = handler;
    this.#next.resolve(handler);
    if (this.#listening) return;
    await this.#transport.listen((request) =>
      this.#open === undefined ? this.#next.promise.then((grant) => grant(request)) : this.#open(request),
    );
    this.#listening = true;
  }

  /** From now on whoever asks waits. */
  shut(): void {
    this.#former = this.#open ?? this.#former;
    this.#open = undefined;
    this.#next = Promise.withResolvers();
  }

  /** The end of the transport. Those who wait are turned away by the daemon that there was. */
  async close(): Promise<void> {
    if (this.#open === undefined && this.#former !== undefined) this.#next.resolve(this.#former);
    await this.#transport.close();
  }
}
