import { FakeClock } from "@wkfs/core/testing";
import { describe, expect, it, vi } from "vitest";
import { FramePeer, PREFACE, frameBytes } from "../testing/frame-peers.ts";
import {
  REFUSAL,
  REQUEST,
  RawDaemon,
  RawPeer,
  SECRET,
  exchangeRaw,
  openDaemon,
  openTransport,
  requestText,
} from "../testing/peers.ts";

const OK = '{"success":true}';
const FAILED = { name: "WkfsError", code: "TRANSPORT_FAILED" };
const asking = requestText({ secret: SECRET, ...REQUEST, frames: 1 });
const soon = () => AbortSignal.timeout(10_000);

describe("a daemon that is asked for frames", () => {
  it.each([
    ["another secret", { ...REQUEST, secret: "a guess that is wrong", frames: 1 }],
    ["no secret", { ...REQUEST, frames: 1 }],
  ])("refuses who has %s, in the words of the PHP program", async (_, message) => {
    await using daemon = await openDaemon();
    await using peer = await RawPeer.connect(daemon.port);
    await peer.write(requestText(message));
    expect(await peer.ending).toEqual({ text: REFUSAL });
    expect(daemon.seen).toEqual([]);
  });

  it.each([
    ["with the preface", PREFACE],
    ["with a frame", frameBytes(1, asking)],
    ["with preface and frame", Buffer.concat([PREFACE, frameBytes(1, asking)])],
    ["with what asks for frames, and frames behind it", Buffer.concat([Buffer.from(asking), PREFACE])],
  ])("drops at once who begins %s", async (_, bytes) => {
    await using daemon = await openDaemon({}, { clock: new FakeClock() });
    expect((await exchangeRaw(daemon.port, bytes)).text).toBe("");
    expect(daemon.seen).toEqual([]);
  });

  it("drops who says another preface than ours", async () => {
    const asked = Promise.withResolvers<void>();
    await using daemon = await openDaemon({}, { reply: async () => (asked.resolve(), OK) });
    await using peer = await RawPeer.connect(daemon.port);
    await peer.write(asking);
    await asked.promise;
    await peer.write("\0wkfs\0\0\u0002");
    expect((await peer.ending).text.startsWith(PREFACE.toString())).toBe(true);
  });

  it.each([2, "1", true, null])("answers without frames who asks for version %s of them", async (frames) => {
    await using daemon = await openDaemon();
    expect(await exchangeRaw(daemon.port, requestText({ secret: SECRET, ...REQUEST, frames }))).toEqual({ text: OK });
    expect(daemon.seen).toEqual([REQUEST]);
  });

  it("answers without frames when it has 64 links, and again with them when one is gone", async () => {
    await using daemon = await openDaemon();
    const peers = await Promise.all(Array.from({ length: 64 }, () => FramePeer.connect(daemon.port)));
    try {
      expect(await exchangeRaw(daemon.port, asking)).toEqual({ text: OK });
      await peers[0]![Symbol.asyncDispose]();
      peers[0] = await vi.waitFor(() => FramePeer.connect(daemon.port));
    } finally {
      for (const peer of peers) peer.socket.destroy();
    }
  });

  it("keeps its links, and takes another, while a thousand connections say nothing", async () => {
    await using daemon = await openDaemon();
    await using peer = await FramePeer.connect(daemon.port);
    expect(await peer.frame()).toEqual({ id: 1, text: OK });
    const idle: RawPeer[] = [];
    try {
      while (idle.length < 1000) {
        idle.push(...(await Promise.all(Array.from({ length: 100 }, () => RawPeer.connect(daemon.port)))));
      }
      peer.send(2, JSON.stringify(REQUEST));
      expect(await peer.frame()).toEqual({ id: 2, text: OK });
      await using gateway = await openTransport({ port: daemon.port });
      const calls = Array.from({ length: 50 }, () => gateway.call(REQUEST, AbortSignal.timeout(10_000)));
      expect(new Set(await Promise.all(calls))).toEqual(new Set([OK]));
    } finally {
      for (const { socket } of idle) socket.destroy();
    }
  });
});

describe("a gateway that asks for frames", () => {
  /** A daemon as the PHP program's: it answers once a connection, when it is let, and closes. */
  async function openPhp(hold = false, port = 0) {
    const asked: boolean[] = [];
    const held: (() => void)[] = [];
    const daemon = await RawDaemon.open((socket, text) => {
      if (!text.endsWith("}")) return;
      asked.push(text.endsWith('"frames":1}'));
      if (hold && asked.length === 1) held.push(() => socket.end("{}"));
      else socket.end("{}");
    }, port);
    return Object.assign(daemon, { asked, release: () => held.forEach((go) => go()) });
  }

  it("asks a daemon that answers without them once in 60 s", async () => {
    const clock = new FakeClock();
    await using php = await openPhp();
    await using gateway = await openTransport({ port: php.port }, { clock });
    for (const wait of [0, 0, 59_999, 1, 0]) {
      await clock.advance(wait);
      expect(await gateway.call(REQUEST, soon())).toBe("{}");
    }
    expect(php.asked).toEqual([true, false, false, true, false]);
  });

  it("asks with one call at a time, and no other waits for the answer", async () => {
    await using php = await openPhp(true);
    await using gateway = await openTransport({ port: php.port });
    const first = gateway.call(REQUEST, soon());
    await Promise.all(Array.from({ length: 20 }, () => gateway.call(REQUEST, soon())));
    expect(php.asked).toEqual([true, ...Array.from({ length: 20 }, () => false)]);
    php.release();
    expect(await first).toBe("{}");
  });

  it("asks again at once when it was not answered", async () => {
    let connections = 0;
    await using daemon = await RawDaemon.open((socket, text) => {
      if (!text.endsWith("}")) return;
      connections += 1;
      if (connections < 3) socket.destroy();
      else socket.end(text.endsWith('"frames":1}') ? '{"asked":true}' : "{}");
    });
    await using gateway = await openTransport({ port: daemon.port });
    for (const _ of [1, 2]) await expect(gateway.call(REQUEST, soon())).rejects.toMatchObject(FAILED);
    expect(await gateway.call(REQUEST, soon())).toBe('{"asked":true}');
  });

  it("finds out that one of ours has followed the PHP program's daemon, and the reverse", async () => {
    const clock = new FakeClock();
    const php = await openPhp();
    const { port } = php;
    await using gateway = await openTransport({ port }, { clock });
    expect(await gateway.call(REQUEST, soon())).toBe("{}");
    await php[Symbol.asyncDispose]();
    const ours = await openDaemon({ port });
    expect(await gateway.call(REQUEST, soon())).toBe('{"success":true}');
    await clock.advance(60_000);
    const calls = Array.from({ length: 20 }, () => gateway.call(REQUEST, soon()));
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['{"success":true}']));
    await ours.close();
    await using again = await openPhp(false, port);
    expect(await gateway.call(REQUEST, soon())).toBe("{}");
    expect(again.asked).toEqual([true]);
  });
});
