/**
 * Carries a grant request from the gateway to a daemon and the answer back. One implementation has
 * both sides; a process uses one of them. The peer is authenticated by the transport; sizes, times
 * and the number of connections are bounded on both sides.
 *
 * 1. The daemon calls `listen` once; the gateway calls `call` as often as it likes, at the same time.
 * 2. `close` ends either side, and nothing comes after it.
 */
export interface Transport {
  /** Where daemons listen, for logs and errors: `127.0.0.1:33491`. At least one. */
  readonly addresses: readonly string[];

  /**
   * Takes requests until `close`. Resolves when peers can connect; rejects with `TRANSPORT_FAILED`
   * when it cannot listen. The handler never rejects. What does not authenticate, is too large, too
   * slow or no request never reaches it.
   */
  listen(handler: GrantHandler): Promise<void>;

  /**
   * Sends one request and resolves with the daemon's reply as it wrote it: JSON text, at most 64 KiB.
   * Rejects with `TRANSPORT_UNREACHABLE` when no daemon took the connection within 3 seconds (nothing
   * was opened), and with `TRANSPORT_FAILED` when one did and then gave no answer within 60 (something
   * may have been opened). Never sends a request twice.
   */
  call(request: GrantRequest, signal: AbortSignal): Promise<string>;

  /** Stops listening, lets answers under way be written, ends connections. Idempotent. */
  close(): Promise<void>;
}

/** What a gateway asks of a daemon. Not yet checked: the daemon trusts none of it. */
export interface GrantRequest {
  /** Text of one IPv4 or IPv6 address. */
  readonly ip: unknown;
  /** A list of `{ proto: "TCP" | "UDP", num: 22 }`. */
  readonly ports: unknown;
  /** Seconds. */
  readonly time: unknown;
  /** Name of the key set that the packet was sealed with; a PHP front end sends none. */
  readonly client?: unknown;
  /**
   * Not to open but to close, early: `{}`, or `{ ports: [...] }` in the form of `ports`. There are no `ports` and no `time` beside
   * it, so a daemon that does not know it opens nothing and answers `missing_ports`.
   */
  readonly close?: unknown;
}

/** Answers a request with JSON text of at most 64 KiB; never rejects. */
export type GrantHandler = (request: GrantRequest) => Promise<string>;
