import { type GrantHandler, type GrantRequest, type Transport, WkfsError } from "@wkfs/core";

/** The daemon's side. `close` may be called when `open` has settled. */
export interface ListeningSide {
  /** Resolves with the address when peers can connect. */
  open(): Promise<string>;
  close(): Promise<void>;
}

/** The gateway's side. */
export interface CallingSide {
  call(request: GrantRequest, signal: AbortSignal): Promise<string>;
  close(): Promise<void>;
}

/** Both sides of a transport with one address; a process uses one of them. */
export class SocketTransport implements Transport {
  readonly #caller: CallingSide;
  readonly #listen: (handler: GrantHandler) => ListeningSide;
  #address: string;
  #listener: ListeningSide | undefined;
  #opening: Promise<string> | undefined;
  #closed: Promise<void> | undefined;

  constructor(address: string, caller: CallingSide, listen: (handler: GrantHandler) => ListeningSide) {
    this.#address = address;
    this.#caller = caller;
    this.#listen = listen;
  }

  get addresses(): readonly string[] {
    return [this.#address];
  }

  async listen(handler: GrantHandler): Promise<void> {
    this.#refuseClosed();
    if (this.#listener !== undefined) {
      throw new WkfsError("STATE_INVALID", "this transport listens already", { hint: "Call listen once." });
    }
    this.#listener = this.#listen(handler);
    this.#opening = this.#listener.open();
    this.#address = await this.#opening;
  }

  async call(request: GrantRequest, signal: AbortSignal): Promise<string> {
    this.#refuseClosed();
    return await this.#caller.call(request, signal);
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
