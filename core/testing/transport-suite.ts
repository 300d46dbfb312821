import assert from "node:assert/strict";
import type { GrantRequest } from "../src/contracts/transport.ts";
import { Inapplicable, type TestRunner, check, needed } from "./runner.ts";
import { Link, REQUEST, type TransportUnderTest, call, rejects } from "./transport-link.ts";

export type { TransportUnderTest } from "./transport-link.ts";

const MAX_REPLY = 65_536;
/** As a handler, answers each request with its time, by which the calls of a test are told apart. */
const echo = async ({ time }: GrantRequest) => JSON.stringify({ time });
const timed = (time: number): GrantRequest => ({ ...REQUEST, time });
const upTo = (count: number) => Array.from({ length: count }, (_, at) => at + 1);

/**
 * Tests of what the contract of transports promises, for any of them. `make` is called for each test.
 *
 *     transportSuite("my-transport", { describe, it }, async () => ({ ... }));
 */
export function transportSuite(name: string, runner: TestRunner, make: () => Promise<TransportUnderTest>): void {
  const test = (title: string, body: (link: Link) => Promise<void>) =>
    check(runner, title, async () => {
      await using link = new Link(await make());
      await body(link);
    });

  runner.describe(`${name} keeps the contract of transports`, () => {
    test("brings a request to the daemon and the answer back as it was written", async (link) => {
      const reply = '{ "success":true,\n "text":"\\u00fc ü € 😀 \\/ /",  "n":1.0 }';
      const seen = await link.listen(async () => reply);
      const caller = await link.caller();
      assert.equal(await call(caller), reply);
      assert.equal(await call(caller), reply);
      assert.deepEqual(seen, [REQUEST, REQUEST]);
    });

    test("passes on what it does not understand, unchecked", async (link) => {
      const odd: GrantRequest[] = [
        { ip: 7, ports: { a: [null, true] }, time: "60" },
        { ip: 'ü\u0000😀"\\', ports: [], time: null, client: "phone" },
        { ip: null, ports: "all", time: -1.5, client: { name: 1 } },
        { ip: 7, ports: [], time: 1, client: "phone", close: { ports: [{ proto: "TCP", num: 22 }] } },
        { ip: 7, ports: [], time: 1, close: null },
      ];
      const seen = await link.listen(async () => "{}");
      const caller = await link.caller();
      for (const request of odd) await call(caller, request);
      assert.deepEqual(seen, odd);
    });

    test("keeps members that a request does not have away from the daemon", async (link) => {
      const seen = await link.listen(async () => "{}");
      const caller = await link.caller();
      await call(caller);
      await call(caller);
      for (const request of seen) assert.deepEqual(Object.keys(request).toSorted(), ["ip", "ports", "time"]);
    });

    test("carries large requests, and replies of 64 KiB", async (link) => {
      const ports = Array.from({ length: 1500 }, (_, at) => ({ proto: "TCP", num: at + 1 }));
      const reply = padded(MAX_REPLY);
      const seen = await link.listen(async () => reply);
      const caller = await link.caller();
      assert.equal(await call(caller, { ...REQUEST, ports }), reply);
      const more = await Promise.all(upTo(10).map((time) => call(caller, { ...timed(time), ports })));
      assert.deepEqual(new Set(more), new Set([reply]));
      assert.ok(seen.every((request) => JSON.stringify(request.ports) === JSON.stringify(ports)));
    });

    test("takes no reply of more than 64 KiB, and the others all the same", async (link) => {
      await link.listen(async ({ time }) => (time === 1 ? padded(MAX_REPLY + 1) : "{}"));
      const caller = await link.caller();
      await rejects(call(caller, timed(1)), "TRANSPORT_FAILED");
      const [refused, ...others] = upTo(5).map((time) => call(caller, timed(time)));
      await rejects(refused!, "TRANSPORT_FAILED");
      assert.deepEqual(await Promise.all(others), ["{}", "{}", "{}", "{}"]);
    });

    test("carries a hundred calls at the same time, each to the daemon once and with its own answer", async (link) => {
      const waiting: (() => void)[] = [];
      const seen = await link.listen(async (request) => {
        // None is answered before all are there, and the first is answered last.
        const turn = Promise.withResolvers<void>();
        waiting.unshift(turn.resolve);
        if (waiting.length === 100) for (const go of waiting.splice(0)) go();
        await turn.promise;
        return echo(request);
      });
      const caller = await link.caller();
      // The second hundred finds what the first has set up.
      for (const times of [upTo(100), upTo(100).map((time) => time + 100)]) {
        const replies = await Promise.all(times.map((time) => call(caller, timed(time))));
        assert.deepEqual(replies, await Promise.all(times.map((time) => echo(timed(time)))));
      }
      assert.deepEqual(
        seen.map(({ time }) => Number(time)).toSorted((a, b) => a - b),
        upTo(200),
      );
    });

    test("lets no slow call hold up fast ones", async (link) => {
      const slow = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const answers = slow.map(() => Promise.withResolvers<void>());
      await link.listen(async (request) => {
        const at = Number(request.time);
        slow[at]?.resolve();
        await answers[at]?.promise;
        return echo(request);
      });
      const caller = await link.caller();
      const settled: number[] = [];
      // The first call of all is slow, and one when everything is set up.
      const calls = [];
      for (const at of [0, 1]) {
        calls.push(call(caller, timed(at)).finally(() => settled.push(at)));
        await slow[at]!.promise;
        assert.equal((await Promise.all(upTo(50).map((time) => call(caller, timed(time + 1))))).length, 50);
      }
      assert.deepEqual(settled, []);
      for (const { resolve } of answers) resolve();
      assert.deepEqual(await Promise.all(calls), ['{"time":0}', '{"time":1}']);
    });

    test("says that no daemon is there", async (link) => {
      await rejects(call(link.keep(await link.subject.unreachable())), "TRANSPORT_UNREACHABLE");
    });

    test("says that a daemon broke off", async (link) => {
      await rejects(call(link.keep(await link.subject.brokenOff())), "TRANSPORT_FAILED");
    });

    test("fails what is under way when the daemon dies, sends none of it again, and finds the next one", async (link) => {
      const { seen, reached } = await link.listenSlowly(20);
      const caller = await link.caller();
      const calls = upTo(20).map((time) => rejects(call(caller, timed(time)), "TRANSPORT_FAILED"));
      await reached;
      await link.kill();
      await Promise.all(calls);
      await rejects(call(caller), "TRANSPORT_UNREACHABLE");
      const then = await link.listen(echo);
      const replies = await Promise.all(upTo(20).map((time) => call(caller, timed(time + 100))));
      assert.equal(new Set(replies).size, 20);
      assert.equal(seen.length, 20);
      assert.ok(then.length === 20 && then.every(({ time }) => Number(time) > 100));
    });

    test("loses nothing to a daemon that stops and starts again between two calls", async (link) => {
      await link.listen(echo);
      const caller = await link.caller();
      for (const time of upTo(3)) {
        assert.equal(await call(caller, timed(time)), await echo(timed(time)));
        await link.listener.close();
        await link.listen(echo);
      }
      assert.equal(await call(caller, timed(4)), '{"time":4}');
    });

    test("gives up on a daemon that gives no answer within a minute, and not before", async (link) => {
      const pass = needed(link.subject.pass, "pass");
      const { reached, answer } = await link.listenSlowly();
      const caller = await link.caller();
      let settled = false;
      const failed = rejects(call(caller), "TRANSPORT_FAILED");
      void failed.then(
        () => (settled = true),
        () => (settled = true),
      );
      await reached;
      await pass.call(link.subject, 30_000);
      assert.equal(settled, false, "it gave up before its time");
      await pass.call(link.subject, 31_000);
      await failed;
      answer("{}");
    });

    test("serves two gateways at the same time, each with its own answers", async (link) => {
      await link.listen(echo);
      const [one, two] = [await link.caller(), await link.caller()];
      const calls = upTo(40).map((time) => call(time % 2 === 0 ? one : two, timed(time)));
      assert.deepEqual(await Promise.all(calls), await Promise.all(upTo(40).map((time) => echo(timed(time)))));
      await one.close();
      assert.equal(await call(two, timed(41)), '{"time":41}');
    });

    test("lets no second daemon listen in the place of one that does", async (link) => {
      await link.listen(echo);
      const caller = await link.caller();
      const second = link.keep(await link.subject.listener());
      await rejects(
        second.listen(async () => '"the second"'),
        "TRANSPORT_FAILED",
      );
      await second.close();
      assert.equal(await call(caller, timed(1)), '{"time":1}');
      assert.equal(await call(await link.caller(), timed(2)), '{"time":2}');
    });

    test("lets nobody with another secret reach the daemon", async (link) => {
      const seen = await link.listen(async () => "{}");
      if (link.subject.stranger === undefined) throw new Inapplicable("the system tells who it is");
      await rejects(call(link.keep(await link.subject.stranger())), "TRANSPORT_FAILED");
      assert.deepEqual(seen, []);
      assert.equal(await link.call(), "{}");
    });

    test("ends a call that is called off, and sends none that was called off before", async (link) => {
      const { seen, reached, answer } = await link.listenSlowly(2);
      const caller = await link.caller();
      const off = new AbortController();
      // The second finds what the first has set up.
      const calls = [1, 2].map((time) => rejects(caller.call(timed(time), off.signal), "TRANSPORT_FAILED"));
      await reached;
      off.abort();
      await Promise.all(calls);
      await rejects(caller.call(REQUEST, off.signal), "TRANSPORT_UNREACHABLE");
      answer("{}");
      assert.equal(await call(caller), "{}");
      assert.equal(seen.length, 3);
    });

    test("lets answers under way out before it closes, and is not there afterwards", async (link) => {
      const { reached, answer } = await link.listenSlowly(2);
      const caller = await link.caller();
      const calls = [call(caller), call(caller)];
      await reached;
      const closing = link.listener.close();
      answer('{"late":true}');
      assert.deepEqual(await Promise.all(calls), ['{"late":true}', '{"late":true}']);
      await closing;
      await rejects(call(caller), "TRANSPORT_UNREACHABLE");
    });

    test("leaves no call hanging when the gateway's side closes", async (link) => {
      const { reached, answer } = await link.listenSlowly(2);
      const caller = await link.caller();
      const settled = Promise.allSettled([call(caller), call(caller)]);
      await reached;
      const closing = caller.close();
      answer("{}");
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

/** A JSON object of `size` bytes. */
function padded(size: number): string {
  return `{"pad":"${"x".repeat(size - 10)}"}`;
}
