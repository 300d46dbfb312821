import { FakeClock, recordingLogger } from "@wkfs/core/testing";
import { describe, expect, it, vi } from "vitest";
import { type Frame, FramePeer, frameBytes } from "../testing/frame-peers.ts";
import { REQUEST, SECRET, exchangeRaw, openDaemon, openTransport, requestText } from "../testing/peers.ts";

const BODY = JSON.stringify(REQUEST);
const OK = '{"success":true}';
const asking = requestText({ secret: SECRET, ...REQUEST, frames: 1 });

/** A daemon that answers each request with its time, when it is let, and a gateway that has its first answer. */
async function openLink(settings: Parameters<typeof openDaemon>[0] = {}, clock = new FakeClock()) {
  const log = recordingLogger();
  const daemon = await openTransport(settings, { clock, log });
  const held = new Map<unknown, (text: string) => void>();
  const seen: unknown[] = [];
  const changed = new Set<() => void>();
  await daemon.listen(({ time }) => {
    seen.push(time);
    const { promise, resolve } = Promise.withResolvers<string>();
    if (Number(time) < 100) resolve(JSON.stringify({ time }));
    else held.set(time, resolve);
    for (const look of changed) look();
    return promise;
  });
  /** Resolves when so many requests have reached the handler. */
  const reached = (count: number) =>
    new Promise<void>((resolve) => {
      const look = () => seen.length >= count && resolve();
      changed.add(look);
      look();
    });
  const peer = await FramePeer.connect(daemon.port);
  expect(await peer.frame()).toEqual({ id: 1, text: '{"time":60}' });
  const ask = async (text = requestText()) => (await exchangeRaw(daemon.port, text)).text;
  return {
    daemon,
    peer,
    clock,
    log,
    seen,
    reached,
    ask,
    answer: (time: number) => held.get(time)!(JSON.stringify({ time })),
    async [Symbol.asyncDispose]() {
      await peer[Symbol.asyncDispose]();
      for (const [time, resolve] of held) resolve(JSON.stringify({ time }));
      await daemon.close();
    },
  };
}

const timed = (time: number) => JSON.stringify({ ...REQUEST, time });

describe("the daemon's end of a link", () => {
  it("answers in the order in which the answers come", async () => {
    await using link = await openLink();
    for (const time of [100, 101, 2]) link.peer.send(time, timed(time));
    expect(await link.peer.frame()).toEqual({ id: 2, text: '{"time":2}' });
    await link.reached(4);
    link.answer(101);
    expect(await link.peer.frame()).toEqual({ id: 101, text: '{"time":101}' });
    link.answer(100);
    expect(await link.peer.frame()).toEqual({ id: 100, text: '{"time":100}' });
  });

  it("hears requests that come byte by byte, and many in one piece", async () => {
    await using link = await openLink();
    for (const byte of frameBytes(7, BODY)) link.peer.socket.write(Uint8Array.of(byte));
    expect(await link.peer.frame()).toEqual({ id: 7, text: '{"time":60}' });
    const ids = Array.from({ length: 500 }, (_, at) => at + 10);
    link.peer.socket.write(Buffer.concat(ids.map((id) => frameBytes(id, BODY))));
    const answers: Frame[] = [];
    for (const _ of ids) answers.push(await link.peer.frame());
    expect(answers.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(ids);
  });

  it("takes from a frame what a request has, and no secret", async () => {
    await using daemon = await openDaemon();
    await using peer = await FramePeer.connect(daemon.port);
    peer.send(2, JSON.stringify({ secret: "x", ...REQUEST, frames: 1, more: true }));
    expect([(await peer.frame()).id, (await peer.frame()).id].toSorted()).toEqual([1, 2]);
    expect(daemon.seen).toEqual([REQUEST, REQUEST]);
  });

  it.each([
    ["garbage", Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 197 + 13) % 256))],
    ["a length of 4 GiB", frameBytes(2, "", 0xff_ff_ff_ff)],
    ["a length over the limit", frameBytes(2, "", 65_537)],
    ["a megabyte", frameBytes(2, "x".repeat(1_048_576))],
    ["the number of no request", frameBytes(0, BODY)],
    ["nothing", frameBytes(2, "")],
    ["a scalar", frameBytes(2, "42")],
    ["half of a request", frameBytes(2, BODY.slice(0, -1))],
    ["a request and more", frameBytes(2, `${BODY}{}`)],
    ["invalid UTF-8", frameBytes(2, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))],
    ["two requests with one number", Buffer.concat([frameBytes(100, timed(100)), frameBytes(100, timed(101))])],
    ["JSON without a frame", asking],
    ["an HTTP request", "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"],
  ])("drops at once who sends %s, and answers others", async (_, bytes) => {
    // The clock stands: nothing here is a matter of time.
    await using link = await openLink();
    await using other = await FramePeer.connect(link.daemon.port);
    link.peer.socket.write(bytes);
    await link.peer.gone();
    expect(await other.frame()).toEqual({ id: 1, text: '{"time":60}' });
    other.send(2, BODY);
    expect(await other.frame()).toEqual({ id: 2, text: '{"time":60}' });
    expect(await link.ask()).toBe('{"time":60}');
    expect(link.seen).not.toContain(101);
  });

  it("hears nothing of what stands behind a fault in the same piece", async () => {
    await using link = await openLink();
    link.peer.socket.write(Buffer.concat([frameBytes(2, "x"), frameBytes(3, timed(3))]));
    await link.peer.gone();
    expect(link.seen).toEqual([60]);
  });

  it("drops who has more than 1,024 requests under way", async () => {
    await using link = await openLink();
    const ids = Array.from({ length: 1024 }, (_, at) => at + 100);
    link.peer.socket.write(Buffer.concat(ids.map((id) => frameBytes(id, timed(id)))));
    await link.reached(1025);
    link.peer.send(2, timed(2));
    await link.peer.gone();
    expect(link.seen).toHaveLength(1025);
    expect(link.clock.waiting).toBe(0);
  });

  it("waits without limit for the rest of a frame, and answers others meanwhile", async () => {
    await using link = await openLink();
    link.peer.socket.write(frameBytes(2, BODY).subarray(0, 20));
    expect(await link.ask()).toBe('{"time":60}');
    await link.clock.advance(3_600_000);
    link.peer.socket.write(frameBytes(2, BODY).subarray(20));
    expect(await link.peer.frame()).toEqual({ id: 2, text: '{"time":60}' });
    expect(link.clock.waiting).toBe(0);
  });

  it("answers with nothing when there is no answer within 60 s, and passes over one that comes later", async () => {
    await using link = await openLink();
    link.peer.send(100, timed(100));
    await link.reached(2);
    await link.clock.advance(59_999);
    expect(link.clock.waiting).toBe(1);
    await link.clock.advance(1);
    expect(await link.peer.frame()).toEqual({ id: 100, text: "" });
    // The number is free again, and the late answer is not taken for that of the new request.
    link.peer.send(100, timed(101));
    await link.reached(3);
    link.answer(100);
    link.answer(101);
    expect(await link.peer.frame()).toEqual({ id: 100, text: '{"time":101}' });
    expect(link.clock.waiting).toBe(0);
  });

  it("gives each request its own 60 s, with one timer for all of them", async () => {
    await using link = await openLink();
    for (const [time, pause] of [
      [100, 10_000],
      [101, 20_000],
      [102, 0],
    ] as const) {
      link.peer.send(time, timed(time));
      await link.reached(time - 98);
      await link.clock.advance(pause);
    }
    expect(link.clock.waiting).toBe(1);
    await link.clock.advance(30_000);
    expect(await link.peer.frame()).toEqual({ id: 100, text: "" });
    link.answer(101);
    expect(await link.peer.frame()).toEqual({ id: 101, text: '{"time":101}' });
    await link.clock.advance(29_999);
    expect(link.clock.waiting).toBe(1);
    await link.clock.advance(1);
    expect(await link.peer.frame()).toEqual({ id: 102, text: "" });
    expect(link.clock.waiting).toBe(0);
  });

  it("answers with nothing when the handler has no answer that fits", async () => {
    const thrower = (): never => {
      throw new Error("at once");
    };
    const replies = [
      async () => OK,
      () => Promise.reject(new Error("broken")),
      async () => "x".repeat(65_537),
      thrower,
    ];
    await using daemon = await openDaemon({}, { reply: () => (replies.shift() ?? (async () => OK))() });
    await using peer = await FramePeer.connect(daemon.port);
    for (const id of [2, 3, 4, 5]) peer.send(id, BODY);
    const frames: Frame[] = [];
    while (frames.length < 5) frames.push(await peer.frame());
    expect(Object.fromEntries(frames.map(({ id, text }) => [id, text]))).toEqual({ 1: OK, 2: "", 3: "", 4: "", 5: OK });
  });

  it("does not hear who leaves its answers lie, and drops it when 30 s are over", async () => {
    const clock = new FakeClock();
    const reply = async () => `{"pad":"${"x".repeat(65_000)}"}`;
    await using daemon = await openDaemon({}, { clock, reply });
    await using peer = await FramePeer.connect(daemon.port);
    // More answers than the buffers of the kernel hold: requests that are never heard, since none is read.
    let id = 1;
    const more = () => {
      while (peer.socket.write(frameBytes((id += 1), BODY)));
    };
    peer.socket.on("drain", more);
    more();
    await vi.waitFor(() => expect(clock.waiting).toBe(1));
    const heard = daemon.seen.length;
    await clock.advance(29_999);
    expect(daemon.seen.length).toBe(heard);
    await clock.advance(1);
    peer.socket.off("drain", more);
    await peer.gone();
    expect(clock.waiting).toBe(0);
  });

  it("hears again who takes its answers", async () => {
    const clock = new FakeClock();
    const reply = async () => `{"pad":"${"x".repeat(65_000)}"}`;
    await using daemon = await openDaemon({}, { clock, reply });
    await using peer = await FramePeer.connect(daemon.port);
    for (let id = 2; id <= 400; id += 1) peer.send(id, BODY);
    await vi.waitFor(() => expect(clock.waiting).toBeGreaterThan(0));
    const ids = new Set<number>();
    while (ids.size < 400) ids.add((await peer.frame()).id);
    peer.send(401, BODY);
    expect((await peer.frame()).id).toBe(401);
    expect(daemon.seen).toHaveLength(401);
    await vi.waitFor(() => expect(clock.waiting).toBe(0));
  });

  it("survives a peer that resets while its requests are under way", async () => {
    await using link = await openLink();
    for (const time of [100, 101]) link.peer.send(time, timed(time));
    await link.reached(3);
    link.peer.socket.resetAndDestroy();
    await vi.waitFor(() => expect(link.clock.waiting).toBe(0));
    link.answer(100);
    expect(await link.ask()).toBe('{"time":60}');
  });
});

describe("the end of a daemon", () => {
  it("is told to its gateways, and what is on its way is still answered", async () => {
    await using link = await openLink();
    link.peer.send(100, timed(100));
    await link.reached(2);
    const closing = link.daemon.close();
    expect(await link.peer.frame()).toEqual({ id: 0, text: "" });
    link.peer.send(3, timed(3));
    expect(await link.peer.frame()).toEqual({ id: 3, text: '{"time":3}' });
    link.answer(100);
    expect(await link.peer.frame()).toEqual({ id: 100, text: '{"time":100}' });
    link.peer.socket.end();
    await closing;
    expect(link.clock.waiting).toBe(0);
  });

  it("does not wait longer than 5 s for a gateway that stays", async () => {
    await using link = await openLink();
    let closed = false;
    const closing = link.daemon.close().then(() => (closed = true));
    expect(await link.peer.frame()).toEqual({ id: 0, text: "" });
    await link.clock.advance(4999);
    expect(closed).toBe(false);
    await link.clock.advance(1);
    await closing;
    expect(link.clock.waiting).toBe(0);
  });
});
