import { once } from "node:events";
import { createServer } from "node:net";
import { FakeClock, recordingLogger } from "@wkfs/core/testing";
import { describe, expect, it, vi } from "vitest";
import {
  REFUSAL,
  REQUEST,
  RawPeer,
  SECRET,
  exchangeRaw,
  openDaemon,
  openTransport,
  recordedExchanges,
  requestText,
} from "../testing/peers.ts";

const OK = { text: '{"success":true}' };
const whole = requestText();

/** Asks a daemon, as after an attack, and gives the answer and what its handler saw of it. */
async function ask(daemon: { readonly port: number; readonly seen: readonly unknown[] }) {
  const before = daemon.seen.length;
  const { text } = await exchangeRaw(daemon.port, whole);
  return { text, seen: daemon.seen.slice(before) };
}
const ANSWERED = { ...OK, seen: [REQUEST] };

/** A daemon whose first answer waits for `answer`; the others do not. */
async function openSlowDaemon() {
  const asked = Promise.withResolvers<void>();
  const first = Promise.withResolvers<string>();
  const replies = [() => (asked.resolve(), first.promise)];
  const daemon = await openDaemon({}, { reply: () => (replies.pop() ?? (async () => OK.text))() });
  return { daemon: Object.assign(daemon, { asked: asked.promise }), answer: () => first.resolve(OK.text) };
}

describe("the daemon's side", () => {
  it("hears and says byte for byte what was recorded from the PHP program", async () => {
    for (const { request, response } of await recordedExchanges()) {
      const { secret, ...grant } = JSON.parse(request) as { secret: string };
      await using daemon = await openTransport({}, { secret });
      const seen: unknown[] = [];
      await daemon.listen(async (asked) => {
        seen.push(asked);
        return response;
      });
      expect(await exchangeRaw(daemon.port, request)).toEqual({ text: response });
      expect(seen).toEqual([grant]);
    }
  });

  it("takes space around the request, and a request in pieces down to bytes", async () => {
    await using daemon = await openDaemon();
    expect(await exchangeRaw(daemon.port, `\r\n ${whole} \n`)).toEqual(OK);
    expect(await exchangeRaw(daemon.port, ...Array.from(Buffer.from(whole), (byte) => Uint8Array.of(byte)))).toEqual(
      OK,
    );
    expect(daemon.seen).toEqual([REQUEST, REQUEST]);
  });

  it("processes the first request of a connection and ignores what comes after it", async () => {
    const { daemon, answer } = await openSlowDaemon();
    await using _ = daemon;
    await using peer = await RawPeer.connect(daemon.port);
    await peer.write(whole);
    await daemon.asked;
    await peer.write(whole, "x".repeat(1_000_000));
    // What was sent before this is read when this is answered.
    expect(await ask(daemon)).toEqual(ANSWERED);
    answer();
    expect(await peer.ending).toEqual(OK);
    expect(daemon.seen).toEqual([REQUEST, REQUEST]);
  });

  it("answers who closes its side after a whole request", async () => {
    const { daemon, answer } = await openSlowDaemon();
    await using _ = daemon;
    await using peer = await RawPeer.connect(daemon.port);
    peer.socket.end(whole);
    await daemon.asked;
    expect(await ask(daemon)).toEqual(ANSWERED);
    answer();
    expect(await peer.ending).toEqual(OK);
  });

  it("drops who closes its side before its request is whole", async () => {
    await using daemon = await openDaemon({}, { clock: new FakeClock() });
    await using peer = await RawPeer.connect(daemon.port);
    peer.socket.end(whole.slice(0, -1));
    expect((await peer.ending).text).toBe("");
    expect(daemon.seen).toEqual([]);
  });

  it("gives members of prototypes to nobody", async () => {
    await using daemon = await openDaemon();
    const message = `{"__proto__":{"secret":"${SECRET}","ip":"192.0.2.1"},"secret":"${SECRET}","constructor":1}`;
    expect(await exchangeRaw(daemon.port, message)).toEqual(OK);
    expect(daemon.seen).toEqual([{ ip: undefined, ports: undefined, time: undefined }]);
    expect(await exchangeRaw(daemon.port, `{"__proto__":{"secret":"${SECRET}"}}`)).toEqual({ text: REFUSAL });
  });

  it("reads the last of two equal members", async () => {
    await using daemon = await openDaemon();
    expect(await exchangeRaw(daemon.port, `{"secret":"x","ip":"a","ip":"b","secret":"${SECRET}"}`)).toEqual(OK);
    expect(daemon.seen[0]?.ip).toBe("b");
  });

  it.each([
    ["wrong", { ...REQUEST, secret: `${SECRET.slice(0, -1)}x` }],
    ["wrong in its length", { ...REQUEST, secret: `${SECRET} ` }],
    ["empty", { ...REQUEST, secret: "" }],
    ["missing", REQUEST],
    ["an array", { ...REQUEST, secret: [SECRET] }],
    ["a number", { ...REQUEST, secret: 0 }],
    ["true", { ...REQUEST, secret: true }],
    ["an object", { ...REQUEST, secret: { toString: SECRET } }],
    ["not there in an array", [SECRET]],
  ])("refuses a request whose secret is %s, in the same words", async (_, message) => {
    await using daemon = await openDaemon();
    expect(await exchangeRaw(daemon.port, requestText(message))).toEqual({ text: REFUSAL });
    expect(daemon.seen).toEqual([]);
  });

  it("tells the log of refused peers once a minute, without what they sent", async () => {
    const log = recordingLogger();
    const clock = new FakeClock();
    await using daemon = await openDaemon({}, { log, clock });
    const guess = requestText({ secret: "a guess that is wrong" });
    for (let guesses = 0; guesses < 5; guesses += 1) await exchangeRaw(daemon.port, guess);
    await clock.advance(60_000);
    await exchangeRaw(daemon.port, guess);
    const warnings = log.lines.filter(({ level }) => level === "warn");
    expect(warnings.map(({ data }) => data)).toEqual([{ refused: 1 }, { refused: 5 }]);
    expect(JSON.stringify(log.lines)).not.toContain("a guess");
  });

  it.each([
    ["two objects at once", whole + whole],
    ["a scalar", "42"],
    ["a text", `"${SECRET}"`],
    ["bytes that mean nothing", Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 197 + 13) % 256))],
    [
      "invalid UTF-8",
      Buffer.concat([Buffer.from(`{"secret":"${SECRET}","ip":"`), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]),
    ],
    ["a byte order mark", `\uFEFF${whole}`],
    ["a megabyte", `{"secret":"${SECRET}","ip":"${"x".repeat(1_048_576)}`],
    ["a megabyte of space", " ".repeat(1_048_576)],
    ["brackets 100,000 deep", "[".repeat(100_000)],
    ["an HTTP request", "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"],
  ])("drops at once who sends %s", async (_, message) => {
    // The clock stands: nothing here is a matter of time.
    await using daemon = await openDaemon({}, { clock: new FakeClock() });
    expect((await exchangeRaw(daemon.port, message)).text).toBe("");
    expect(daemon.seen).toEqual([]);
    expect(await ask(daemon)).toEqual(ANSWERED);
  });

  it("survives peers that reset in the middle, and after a request whose answer they do not want", async () => {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<string>();
    await using daemon = await openDaemon({}, { reply: () => (asked.resolve(), answer.promise) });
    await using half = await RawPeer.connect(daemon.port);
    await half.write(whole.slice(0, 40));
    half.socket.resetAndDestroy();
    await using full = await RawPeer.connect(daemon.port);
    await full.write(whole);
    await asked.promise;
    full.socket.resetAndDestroy();
    await full.ending;
    answer.resolve('{"success":true}');
    expect(await ask(daemon)).toEqual(ANSWERED);
  });

  it.each([
    ["nothing", []],
    ["half a request", [whole.slice(0, 40)]],
  ])("drops who sends %s when 30 s are over", async (_, pieces) => {
    const clock = new FakeClock();
    await using daemon = await openDaemon({}, { clock });
    await using peer = await RawPeer.connect(daemon.port);
    await peer.write(...pieces);
    await vi.waitFor(() => expect(clock.waiting).toBe(1));
    await clock.advance(29_999);
    expect(clock.waiting).toBe(1);
    await clock.advance(1);
    expect((await peer.ending).text).toBe("");
    expect(clock.waiting).toBe(0);
  });

  it("drops who drips: a byte now and then gives no more time", async () => {
    const clock = new FakeClock();
    await using daemon = await openDaemon({}, { clock });
    await using peer = await RawPeer.connect(daemon.port);
    await vi.waitFor(() => expect(clock.waiting).toBe(1));
    for (let drops = 0; drops < 6; drops += 1) {
      await peer.write(whole.slice(drops, drops + 1));
      await clock.advance(5000);
    }
    expect((await peer.ending).text).toBe("");
    expect(daemon.seen).toEqual([]);
  });

  it("drops who has its answer and does not close", async () => {
    const clock = new FakeClock();
    await using daemon = await openDaemon({}, { clock });
    await using peer = await RawPeer.connect(daemon.port);
    peer.socket.removeAllListeners("end");
    const ended = once(peer.socket, "end");
    await peer.write(whole);
    await ended;
    await clock.advance(1000);
    expect(clock.waiting).toBe(0);
    expect(daemon.seen).toHaveLength(1);
  });

  it("answers a request while a thousand connections say nothing", async () => {
    await using daemon = await openDaemon();
    const idle: RawPeer[] = [];
    try {
      // A hundred at a time, so that they come in the order of this list.
      while (idle.length < 1000) {
        idle.push(...(await Promise.all(Array.from({ length: 100 }, () => RawPeer.connect(daemon.port)))));
      }
      expect(await ask(daemon)).toEqual(ANSWERED);
      await using gateway = await openTransport({ port: daemon.port });
      expect(await gateway.call(REQUEST, AbortSignal.timeout(10_000))).toBe(OK.text);
      // The oldest were dropped, the youngest were not.
      await Promise.all(idle.slice(0, 700).map(({ ending }) => ending));
      expect(idle.at(-1)!.socket.destroyed).toBe(false);
    } finally {
      for (const peer of idle) peer.socket.destroy();
    }
  });

  it("drops nobody whose request it is answering, and takes no more than its limit", async () => {
    const answer = Promise.withResolvers<string>();
    let asked = 0;
    await using daemon = await openDaemon({ maxConnections: 2 }, { reply: () => ((asked += 1), answer.promise) });
    await using first = await RawPeer.connect(daemon.port);
    await using second = await RawPeer.connect(daemon.port);
    await first.write(whole);
    await second.write(whole);
    await vi.waitFor(() => expect(asked).toBe(2));
    expect((await exchangeRaw(daemon.port, whole)).text).toBe("");
    answer.resolve('{"success":true}');
    expect(await Promise.all([first.ending, second.ending])).toEqual([OK, OK]);
    expect(asked).toBe(2);
  });

  it("ends a connection whose answer does not come", async () => {
    const clock = new FakeClock();
    const asked = Promise.withResolvers<void>();
    await using daemon = await openDaemon({}, { clock, reply: () => (asked.resolve(), new Promise(() => {})) });
    await using peer = await RawPeer.connect(daemon.port);
    await peer.write(whole);
    await asked.promise;
    await clock.advance(59_999);
    expect(clock.waiting).toBe(1);
    await clock.advance(1);
    expect((await peer.ending).text).toBe("");
  });

  it("closes without an answer when there is none that fits", async () => {
    const replies = [() => Promise.reject(new Error("broken")), async () => "x".repeat(65_537)];
    for (const reply of replies) {
      const log = recordingLogger();
      await using daemon = await openDaemon({}, { log, reply });
      expect((await exchangeRaw(daemon.port, whole)).text).toBe("");
      expect(log.lines.map(({ level }) => level)).toContain("error");
    }
  });
});

describe("listening", () => {
  it("fails when somebody has the port", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    try {
      const { port } = other.address() as { port: number };
      await using daemon = await openTransport({ port });
      const refused = daemon.listen(async () => "{}");
      await expect(refused).rejects.toMatchObject({ code: "TRANSPORT_FAILED", hint: expect.any(String) });
    } finally {
      other.close();
    }
  });

  it("happens once, and not after the end", async () => {
    const daemon = await openDaemon();
    await expect(daemon.listen(async () => "{}")).rejects.toMatchObject({ code: "STATE_INVALID" });
    await daemon.close();
    await expect(daemon.listen(async () => "{}")).rejects.toMatchObject({ code: "STATE_INVALID" });
  });

  it("ends when it was not yet under way, and frees the port for the next", async () => {
    const first = await openTransport();
    const listening = first.listen(async () => "{}");
    await Promise.all([first.close(), listening]);
    await expect(RawPeer.connect(first.port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await using next = await openDaemon({ port: first.port });
    expect(await ask(next)).toEqual(ANSWERED);
  });

  it("drops at its end who has not asked yet, and waits 5 s for an answer under way", async () => {
    const clock = new FakeClock();
    const asked = Promise.withResolvers<void>();
    const daemon = await openDaemon({}, { clock, reply: () => (asked.resolve(), new Promise(() => {})) });
    await using idle = await RawPeer.connect(daemon.port);
    await using waiting = await RawPeer.connect(daemon.port);
    await waiting.write(whole);
    await asked.promise;
    let closed = false;
    const closing = daemon.close().then(() => (closed = true));
    await idle.ending;
    await clock.advance(4999);
    expect(closed).toBe(false);
    await clock.advance(1);
    await closing;
    expect((await waiting.ending).text).toBe("");
    expect(clock.waiting).toBe(0);
  });
});
