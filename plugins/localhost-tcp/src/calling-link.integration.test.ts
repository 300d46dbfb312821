import type { GrantRequest } from "@wkfs/core";
import { FakeClock } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { type Frame, FrameDaemon, type FramePeer, PREFACE, frameBytes } from "../testing/frame-peers.ts";
import { REQUEST, RawDaemon, SECRET, openTransport, requestText } from "../testing/peers.ts";

const soon = () => AbortSignal.timeout(10_000);
const FAILED = { name: "WkfsError", code: "TRANSPORT_FAILED", hint: expect.any(String) };
const UNREACHABLE = { name: "WkfsError", code: "TRANSPORT_UNREACHABLE", hint: expect.any(String) };
const timed = (time: number): GrantRequest => ({ ...REQUEST, time });
const timeOf = ({ text }: Frame) => (JSON.parse(text) as { time: number }).time;

/** What a call came to: its answer or its error. */
const outcome = (call: Promise<string>) => call.catch((error: unknown) => error);

/**
 * A daemon that answers requests with a time below 100 and does with the others as `act` says, and a gateway that
 * has its first answer; `reached` resolves when so many requests have come.
 */
async function openLink(act: (peer: FramePeer, frame: Frame) => void = () => {}, clock = new FakeClock()) {
  const changed = new Set<() => void>();
  const daemon = await FrameDaemon.open((peer, frame) => {
    if (timeOf(frame) < 100) peer.send(frame.id, JSON.stringify({ time: timeOf(frame) }));
    else act(peer, frame);
    for (const look of changed) look();
  });
  const gateway = await openTransport({ port: daemon.port }, { clock });
  const call = (time: number, signal = soon()) => gateway.call(timed(time), signal);
  expect(await call(1)).toBe('{"time":1}');
  return {
    daemon,
    gateway,
    clock,
    call,
    reached: (count: number) =>
      new Promise<void>((resolve) => {
        const look = () => daemon.seen.length >= count && resolve();
        changed.add(look);
        look();
      }),
    async [Symbol.asyncDispose]() {
      await gateway.close();
      await daemon[Symbol.asyncDispose]();
    },
  };
}

describe("the gateway's end of a link", () => {
  it("says the secret once, and then what a request has", async () => {
    await using link = await openLink();
    await Promise.all([2, 3, 4].map((time) => link.call(time)));
    await link.gateway.call({ ...timed(5), client: "phone" }, soon());
    expect(link.daemon.peers).toHaveLength(1);
    expect(link.daemon.seen.map(({ text }) => text)).toEqual([
      requestText({ secret: SECRET, ...timed(1), frames: 1 }),
      ...[2, 3, 4].map((time) => JSON.stringify(timed(time))),
      JSON.stringify({ ...timed(5), client: "phone" }),
    ]);
    expect(new Set(link.daemon.seen.map(({ id }) => id)).size).toBe(5);
    expect(link.clock.waiting).toBe(0);
  });

  it("gives each call its own answer, in whatever order and pieces they come", async () => {
    const held: Frame[] = [];
    await using link = await openLink((peer, frame) => {
      held.push(frame);
      if (held.length < 50) return;
      const bytes = Buffer.concat(held.toReversed().map(({ id, text }) => frameBytes(id, text)));
      for (let at = 0; at < bytes.length; at += 7) peer.socket.write(bytes.subarray(at, at + 7));
    });
    const times = Array.from({ length: 50 }, (_, at) => at + 100);
    const answers = await Promise.all(times.map((time) => link.call(time)));
    expect(answers).toEqual(times.map((time) => JSON.stringify(timed(time))));
  });

  it.each<[string, (id: number) => Uint8Array]>([
    ["answers what it was not asked", (id) => frameBytes(id + 1000, "{}")],
    ["answers twice", (id) => Buffer.concat([frameBytes(id, "{}"), frameBytes(id, "{}")])],
    ["talks garbage", () => Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["says a length of 4 GiB", (id) => frameBytes(id, "", 0xff_ff_ff_ff)],
    ["says more than 64 KiB", (id) => frameBytes(id, `{"pad":"${"x".repeat(65_536)}"}`)],
    ["says a megabyte", (id) => frameBytes(id, "x".repeat(1_048_576))],
    ["says the number of no request, with a body", () => frameBytes(0, "{}")],
  ])("fails all that is under way when the daemon %s, and connects anew", async (_, bytes) => {
    const asked: number[] = [];
    await using link = await openLink((peer, frame) => {
      if (asked.push(frame.id) === 3) peer.socket.write(bytes(frame.id));
    });
    const outcomes = await Promise.all([100, 101, 102].map((time) => outcome(link.call(time))));
    // The answer that came before the fault counts.
    expect(outcomes.filter((answer) => answer !== "{}").length).toBeGreaterThanOrEqual(2);
    for (const answer of outcomes) if (answer !== "{}") expect(answer).toMatchObject(FAILED);
    expect(await link.call(2)).toBe('{"time":2}');
    expect(link.daemon.peers).toHaveLength(2);
    // None was sent again.
    expect(link.daemon.seen.map(timeOf)).toEqual([1, 100, 101, 102, 2]);
    expect(link.clock.waiting).toBe(0);
  });

  it.each([
    ["nothing", ""],
    ["what is no JSON", "{"],
    ["a scalar", "true"],
    ["invalid UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
  ])("fails the one call that is answered with %s", async (_, body) => {
    await using link = await openLink((peer, { id }) => peer.socket.write(frameBytes(id, body)));
    const [bad, good] = await Promise.all([outcome(link.call(100)), link.call(2)]);
    expect(bad).toMatchObject(FAILED);
    expect(good).toBe('{"time":2}');
    expect(link.daemon.peers).toHaveLength(1);
  });

  it("gives up after 60 s when half an answer comes and then nothing, and leaves that connection", async () => {
    await using link = await openLink((peer, { id }) => peer.socket.write(frameBytes(id, "{}").subarray(0, 9)));
    const call = outcome(link.call(100));
    await link.reached(2);
    await link.clock.advance(59_999);
    expect(link.clock.waiting).toBe(1);
    await link.clock.advance(1);
    expect(await call).toMatchObject(FAILED);
    await link.daemon.peers[0]!.closed;
    expect(await link.call(2)).toBe('{"time":2}');
    expect(link.daemon.peers).toHaveLength(2);
    expect(link.clock.waiting).toBe(0);
  });

  it("lets the others have their answers when one is given up", async () => {
    const held: Frame[] = [];
    await using link = await openLink((_, frame) => held.push(frame));
    const late = outcome(link.call(100));
    await link.reached(2);
    await link.clock.advance(30_000);
    const other = link.call(101);
    await link.reached(3);
    await link.clock.advance(30_000);
    expect(await late).toMatchObject(FAILED);
    expect(await link.call(2)).toBe('{"time":2}');
    link.daemon.peers[0]!.send(held[1]!.id, "{}");
    expect(await other).toBe("{}");
    await link.daemon.peers[0]!.closed;
  });

  it("passes over the answer to a call that was called off, and keeps the connection", async () => {
    const held: Frame[] = [];
    await using link = await openLink((_, frame) => held.push(frame));
    const off = new AbortController();
    const call = outcome(link.call(100, off.signal));
    await link.reached(2);
    off.abort();
    expect(await call).toMatchObject(FAILED);
    link.daemon.peers[0]!.send(held[0]!.id, "{}");
    expect(await link.call(2)).toBe('{"time":2}');
    expect(link.daemon.peers).toHaveLength(1);
    expect(await outcome(link.call(3, off.signal))).toMatchObject(UNREACHABLE);
    expect(link.daemon.seen).toHaveLength(3);
  });

  it("has at most 1,024 requests under way; others wait 3 s for their turn and no longer", async () => {
    const held: Frame[] = [];
    await using link = await openLink((_, frame) => held.push(frame));
    const calls = Array.from({ length: 1024 }, (_, at) => outcome(link.call(100 + at)));
    await link.reached(1025);
    const [late, calledOff] = [outcome(link.call(2)), new AbortController()];
    const off = outcome(link.call(3, calledOff.signal));
    await link.clock.advance(2999);
    const inTime = link.call(4);
    calledOff.abort();
    await link.clock.advance(1);
    expect(await late).toMatchObject(UNREACHABLE);
    expect(await off).toMatchObject(UNREACHABLE);
    link.daemon.peers[0]!.send(held[500]!.id, "{}");
    expect(await calls[500]).toBe("{}");
    expect(await inTime).toBe('{"time":4}');
    expect(link.daemon.seen).toHaveLength(1026);
    // What waits for its turn was not sent, also when the connection breaks.
    const [last, waiting] = [outcome(link.call(2000)), outcome(link.call(2001))];
    await link.reached(1027);
    link.daemon.peers[0]!.socket.destroy();
    expect(await waiting).toMatchObject(UNREACHABLE);
    for (const call of [last, ...calls.toSpliced(500, 1)]) expect(await call).toMatchObject(FAILED);
  });

  it("sends nothing more to a daemon that is about to stop, and leaves when it has its answers", async () => {
    const held: Frame[] = [];
    await using link = await openLink((peer, frame) => {
      held.push(frame);
      peer.send(0, "");
      peer.send(0, "");
    });
    const call = link.call(100);
    await link.reached(2);
    // Nobody tells when the goodbye is there: it is before this is answered on the same connection.
    const asked = outcome(link.call(2));
    expect(await asked).toBe('{"time":2}');
    expect(await link.call(3)).toBe('{"time":3}');
    expect(link.daemon.peers).toHaveLength(2);
    link.daemon.peers[0]!.send(held[0]!.id, "{}");
    expect(await call).toBe("{}");
    await link.daemon.peers[0]!.closed;
  });

  it("fails the first call when the daemon begins with a zero that is no preface", async () => {
    await using daemon = await FrameDaemon.open(() => {}, { preface: Buffer.from("\0wkfs\0\0\u0002") });
    await using gateway = await openTransport({ port: daemon.port });
    expect(await outcome(gateway.call(REQUEST, soon()))).toMatchObject(FAILED);
    expect(daemon.seen).toHaveLength(1);
  });

  it("understands a preface that comes in pieces, with the first answer behind it", async () => {
    await using daemon = await RawDaemon.open(async (socket, text) => {
      if (!text.endsWith('"frames":1}')) return;
      socket.setNoDelay(true);
      for (const byte of Buffer.concat([PREFACE, frameBytes(1, '{"a":1}')]))
        await new Promise((resolve) => socket.write(Uint8Array.of(byte), resolve));
    });
    await using gateway = await openTransport({ port: daemon.port });
    expect(await gateway.call(REQUEST, soon())).toBe('{"a":1}');
  });

  it("fails what is under way when the gateway stops", async () => {
    await using link = await openLink();
    const calls = [100, 101].map((time) => outcome(link.call(time)));
    await link.reached(3);
    await link.gateway.close();
    for (const call of calls) expect(await call).toMatchObject(FAILED);
    await link.daemon.peers[0]!.closed;
    expect(link.clock.waiting).toBe(0);
  });
});
