import assert from "node:assert/strict";
import type { GrantHandler, GrantRequest, Transport } from "../src/contracts/transport.ts";
import { type ErrorCode, isWkfsError } from "../src/model/errors.ts";
import { SuddenDeath } from "./sudden-death.ts";

/** One link between a daemon and gateways, of its own and with nobody on it yet. */
export interface TransportUnderTest {
  /** The daemon's side. Asked for again when the one before is closed or killed, for another in its place. */
  listener(): Promise<Transport>;
  /** A gateway's side. Asked for when the daemon listens. */
  caller(): Promise<Transport>;
  /** As `caller`, with another secret (key, certificate) than the daemon's; undefined where the system tells who it is. */
  readonly stranger: (() => Promise<Transport>) | undefined;
  /** A gateway's side of a link on which no daemon listens. */
  unreachable(): Promise<Transport>;
  /** A gateway's side of a link whose daemon takes the request and breaks off without an answer. */
  brokenOff(): Promise<Transport>;
  /** Moves the time that the transports go by on by so many milliseconds; without it nobody waits for their time limits. */
  pass?(milliseconds: number): Promise<void>;
  /**
   * Breaks off what the daemon's side has open and frees its place, as the kill of a process does. Without
   * it the suite closes the servers and sockets of `node:net` under the daemon's side.
   */
  kill?(): Promise<void>;
  /** Frees what the maker made itself. The suite closes every transport that it was given. */
  dispose?(): Promise<void>;
}

export const REQUEST: GrantRequest = { ip: "192.0.2.7", ports: [{ proto: "TCP", num: 22 }], time: 60 };

/** The link of one test; what was made for it is closed with it, gateways first. */
export class Link implements AsyncDisposable {
  readonly subject: TransportUnderTest;
  readonly #made: Transport[] = [];
  readonly #death = new SuddenDeath();
  #listener: Transport | undefined;

  constructor(subject: TransportUnderTest) {
    this.subject = subject;
  }

  get listener(): Transport {
    assert.ok(this.#listener, "nobody listens yet");
    return this.#listener;
  }

  /** Lets the daemon's side answer with `handler`; gives the requests that reach it. */
  async listen(handler: GrantHandler): Promise<readonly GrantRequest[]> {
    const seen: GrantRequest[] = [];
    this.#listener = this.keep(await this.subject.listener());
    await this.#listener.listen((request) => {
      seen.push(request);
      return handler(request);
    });
    return seen;
  }

  /** Lets the daemon's side answer with what `answer` resolves with; `reached` resolves at its `count`th request. */
  async listenSlowly(count = 1) {
    const reached = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<string>();
    const seen = await this.listen(() => {
      if (seen.length === count) reached.resolve();
      return answer.promise;
    });
    return { seen, reached: reached.promise, answer: answer.resolve };
  }

  async kill(): Promise<void> {
    await (this.subject.kill === undefined ? this.#death.strike() : this.subject.kill());
  }

  async caller(): Promise<Transport> {
    return this.keep(await this.subject.caller());
  }

  async call(request = REQUEST): Promise<string> {
    return call(await this.caller(), request);
  }

  keep(transport: Transport): Transport {
    this.#made.push(transport);
    return transport;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#death[Symbol.dispose]();
    for (const transport of this.#made.toReversed()) await transport.close();
    await this.subject.dispose?.();
  }
}

export function call(caller: Transport, request = REQUEST): Promise<string> {
  return caller.call(request, AbortSignal.timeout(20_000));
}

/** Whether it is awaited at once or later: a failure is that of the check which awaits it, and never an unhandled one. */
export function rejects(calling: Promise<unknown>, code: ErrorCode): Promise<void> {
  const checked = assert.rejects(calling, (error) => {
    assert.ok(isWkfsError(error), `no WkfsError: ${String(error)}`);
    assert.equal(error.code, code, error.message);
    return true;
  });
  checked.catch(() => {});
  return checked;
}
