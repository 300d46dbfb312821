import assert from "node:assert/strict";
import type { GrantHandler, GrantRequest, Transport } from "../src/contracts/transport.ts";
import { type ErrorCode, isWkfsError } from "../src/model/errors.ts";
import type { TestRunner } from "./runner.ts";

/** One link between a daemon and gateways, of its own and with nobody on it yet. */
export interface TransportUnderTest {
  /** The daemon's side. Asked for once. */
  listener(): Promise<Transport>;
  /** A gateway's side. Asked for when the daemon listens. */
  caller(): Promise<Transport>;
  /** As `caller`, with another secret (key, certificate) than the daemon's. */
  stranger(): Promise<Transport>;
  /** A gateway's side of a link on which no daemon listens. */
  unreachable(): Promise<Transport>;
  /** A gateway's side of a link whose daemon takes the request and breaks off without an answer. */
  brokenOff(): Promise<Transport>;
  /** Frees what the maker made itself. The suite closes every transport that it was given. */
  dispose?(): Promise<void>;
}

const REQUEST: GrantRequest = { ip: "192.0.2.7", ports: [{ proto: "TCP", num: 22 }], time: 60 };
const MAX_REPLY = 65_536;
const FAILED: readonly ErrorCode[] = ["TRANSPORT_FAILED"];
const UNREACHABLE: readonly ErrorCode[] = ["TRANSPORT_UNREACHABLE"];

/**
 * Tests of what the contract of transports promises, for any of them. `make` is called for each test.
 *
 *     transportSuite("my-transport", { describe, it }, async () => ({ ... }));
 */
export function transportSuite(name: string, runner: TestRunner, make: () => Promise<TransportUnderTest>): void {
  const test = (title: string, body: (link: Link) => Promise<void>) =>
    runner.it(title, async () => {
      await using link = new Link(await make());
      await body(link);
    });

  runner.describe(`${name} keeps the contract of transports`, () => {
    test("brings a request to the daemon and the answer back as it was written", async (link) => {
      const reply = '{ "success":true,\n "text":"\\u00fc ü € 😀 \\/ /",  "n":1.0 }';
      const seen = await link.listen(async () => reply);
      assert.equal(await link.call(), reply);
      assert.deepEqual(seen, [REQUEST]);
    });

    test("passes on what it does not understand, unchecked", async (link) => {
      const odd: GrantRequest[] = [
        { ip: 7, ports: { a: [null, true] }, time: "60" },
        { ip: 'ü\u0000😀"\\', ports: [], time: null, client: "phone" },
        { ip: null, ports: "all", time: -1.5, client: { name: 1 } },
      ];
      const seen = await link.listen(async () => "{}");
      const caller = await link.caller();
      for (const request of odd) await caller.call(request, AbortSignal.timeout(10_000));
      assert.deepEqual(seen, odd);
    });

    test("keeps members that a request does not have away from the daemon", async (link) => {
      const seen = await link.listen(async () => "{}");
      await link.call();
      assert.deepEqual(Object.keys(seen[0]!).toSorted(), ["ip", "ports", "time"]);
    });

    test("carries a large request, and a reply of 64 KiB", async (link) => {
      const ports = Array.from({ length: 1500 }, (_, at) => ({ proto: "TCP", num: at + 1 }));
      const reply = padded(MAX_REPLY);
      const seen = await link.listen(async () => reply);
      assert.equal(await link.call({ ...REQUEST, ports }), reply);
      assert.deepEqual(seen[0]?.ports, ports);
    });

    test("takes no reply of more than 64 KiB", async (link) => {
      await link.listen(async () => padded(MAX_REPLY + 1));
      await rejects(link.call(), FAILED);
    });

    test("carries a hundred calls at the same time, each to the daemon once and with its own answer", async (link) => {
      const waiting: (() => void)[] = [];
      const seen = await link.listen(async ({ time }) => {
        // None is answered before all are there, and the first is answered last.
        const turn = Promise.withResolvers<void>();
        waiting.unshift(turn.resolve);
        if (waiting.length === 100) for (const go of waiting) go();
        await turn.promise;
        return JSON.stringify({ time });
      });
      const caller = await link.caller();
      const times = Array.from({ length: 100 }, (_, at) => at + 1);
      const signal = AbortSignal.timeout(20_000);
      const replies = await Promise.all(times.map((time) => caller.call({ ...REQUEST, time }, signal)));
      assert.deepEqual(
        replies,
        times.map((time) => JSON.stringify({ time })),
      );
      assert.deepEqual(
        seen.map(({ time }) => time).toSorted((a, b) => Number(a) - Number(b)),
        times,
      );
    });

    test("says that no daemon is there", async (link) => {
      await rejects(link.callWith(link.keep(await link.subject.unreachable())), UNREACHABLE);
    });

    test("says that a daemon broke off", async (link) => {
      await rejects(link.callWith(link.keep(await link.subject.brokenOff())), FAILED);
    });

    test("lets nobody with another secret reach the daemon", async (link) => {
      const seen = await link.listen(async () => "{}");
      await rejects(link.callWith(link.keep(await link.subject.stranger())), FAILED);
      assert.deepEqual(seen, []);
      assert.equal(await link.call(), "{}");
    });

    test("ends a call that is called off, and sends none that was called off before", async (link) => {
      const reached = Promise.withResolvers<void>();
      const answer = Promise.withResolvers<string>();
      const seen = await link.listen(() => {
        reached.resolve();
        return answer.promise;
      });
      const caller = await link.caller();
      const off = new AbortController();
      const call = rejects(caller.call(REQUEST, off.signal), FAILED);
      await reached.promise;
      off.abort();
      await call;
      await rejects(caller.call(REQUEST, off.signal), UNREACHABLE);
      answer.resolve("{}");
      assert.equal(await link.call(), "{}");
      assert.equal(seen.length, 2);
    });

    test("lets an answer under way out before it closes, and is not there afterwards", async (link) => {
      const reached = Promise.withResolvers<void>();
      const answer = Promise.withResolvers<string>();
      await link.listen(() => {
        reached.resolve();
        return answer.promise;
      });
      const caller = await link.caller();
      const call = caller.call(REQUEST, AbortSignal.timeout(10_000));
      await reached.promise;
      const closing = link.listener.close();
      answer.resolve('{"late":true}');
      assert.equal(await call, '{"late":true}');
      await closing;
      await rejects(caller.call(REQUEST, AbortSignal.timeout(10_000)), UNREACHABLE);
    });

    test("leaves no call hanging when the gateway's side closes", async (link) => {
      const reached = Promise.withResolvers<void>();
      const answer = Promise.withResolvers<string>();
      await link.listen(() => {
        reached.resolve();
        return answer.promise;
      });
      const caller = await link.caller();
      const call = caller.call(REQUEST, AbortSignal.timeout(10_000));
      const settled = Promise.allSettled([call]);
      await reached.promise;
      const closing = caller.close();
      answer.resolve("{}");
      await Promise.all([settled, closing]);
    });

    test("closes as often as it is asked, also when it was never used", async (link) => {
      await link.listen(async () => "{}");
      const caller = await link.caller();
      await Promise.all([link.listener.close(), link.listener.close(), caller.close()]);
      await Promise.all([link.listener.close(), caller.close()]);
    });

    test("names where daemons listen", async (link) => {
      await link.listen(async () => "{}");
      const addresses = (await link.caller()).addresses;
      assert.ok(addresses.length > 0);
      assert.deepEqual(addresses, link.listener.addresses);
    });
  });
}

/** The link of one test; what was made for it is closed with it, gateways first. */
class Link implements AsyncDisposable {
  readonly subject: TransportUnderTest;
  readonly #made: Transport[] = [];
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

  async caller(): Promise<Transport> {
    return this.keep(await this.subject.caller());
  }

  async call(request = REQUEST): Promise<string> {
    return this.callWith(await this.caller(), request);
  }

  callWith(caller: Transport, request = REQUEST): Promise<string> {
    return caller.call(request, AbortSignal.timeout(10_000));
  }

  keep(transport: Transport): Transport {
    this.#made.push(transport);
    return transport;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const transport of this.#made.toReversed()) await transport.close();
    await this.subject.dispose?.();
  }
}

async function rejects(call: Promise<unknown>, codes: readonly ErrorCode[]): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(isWkfsError(error), `no WkfsError: ${String(error)}`);
    assert.ok(codes.includes(error.code), `${error.code} (${error.message}) instead of ${codes.join(" or ")}`);
    return true;
  });
}

/** A JSON object of `size` bytes. */
function padded(size: number): string {
  return `{"pad":"${"x".repeat(size - 10)}"}`;
}
