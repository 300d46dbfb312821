import { connect } from "node:net";
import { FakeClock, recordingLogger } from "@wkfs/core/testing";
import { describe, expect, it, vi } from "vitest";
import { FramePeer, PREFACE, frameBytes } from "../../localhost-tcp/testing/frame-peers.ts";
import { Folder, REQUEST, openTransport } from "../testing/peers.ts";

const soon = () => AbortSignal.timeout(10_000);
const BODY = JSON.stringify(REQUEST);

async function openDaemon() {
  const folder = await Folder.create();
  const path = folder.in("daemon.sock");
  const clock = new FakeClock();
  const log = recordingLogger();
  const daemon = await openTransport(path, {}, { clock, log });
  const seen: unknown[] = [];
  await daemon.listen(async (request) => {
    seen.push(request);
    return "{}";
  });
  const peers: FramePeer[] = [];
  return {
    daemon,
    clock,
    log,
    seen,
    path,
    /** A connection on which nothing is said yet. */
    open: () => {
      const peer = new FramePeer(connect({ path }));
      peers.push(peer);
      return peer;
    },
    async knock() {
      await using gateway = await openTransport(path);
      return await gateway.call(REQUEST, soon());
    },
    async [Symbol.asyncDispose]() {
      for (const peer of peers) await peer[Symbol.asyncDispose]();
      await daemon.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe("the daemon's side", () => {
  it("hears requests behind the preface in the same piece, and says its own", async () => {
    await using daemon = await openDaemon();
    const peer = daemon.open();
    peer.socket.write(Buffer.concat([PREFACE, frameBytes(1, BODY), frameBytes(2, BODY)]));
    expect(PREFACE.equals(await peer.bytes(PREFACE.length))).toBe(true);
    expect([await peer.frame(), await peer.frame()]).toEqual([
      { id: 1, text: "{}" },
      { id: 2, text: "{}" },
    ]);
    expect(daemon.seen).toEqual([REQUEST, REQUEST]);
  });

  it.each([
    ["JSON, as over TCP", JSON.stringify({ secret: "x", ...REQUEST, frames: 1 })],
    ["a frame without the preface", frameBytes(1, BODY)],
    ["the preface of another version", "\0wkfs\0\0\u0002"],
    ["garbage", Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 197 + 13) % 256))],
    ["a megabyte", "x".repeat(1_048_576)],
    ["a length of 4 GiB", Buffer.concat([PREFACE, frameBytes(1, "", 0xff_ff_ff_ff)])],
    ["a frame of a megabyte", Buffer.concat([PREFACE, frameBytes(1, "x".repeat(1_048_576))])],
    ["an HTTP request", "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"],
  ])("drops at once who begins with %s", async (_, bytes) => {
    // The clock stands: nothing here is a matter of time.
    await using daemon = await openDaemon();
    const peer = daemon.open();
    peer.socket.write(bytes);
    await peer.gone();
    expect(daemon.seen).toEqual([]);
    expect(await daemon.knock()).toBe("{}");
  });

  it("waits for the rest of a preface or a frame, and answers others meanwhile", async () => {
    await using daemon = await openDaemon();
    const bytes = Buffer.concat([PREFACE, frameBytes(1, BODY)]);
    for (const cut of [3, 12, 30]) {
      const peer = daemon.open();
      peer.socket.write(bytes.subarray(0, cut));
      expect(await daemon.knock()).toBe("{}");
      peer.socket.write(bytes.subarray(cut));
      await peer.bytes(PREFACE.length);
      expect(await peer.frame()).toEqual({ id: 1, text: "{}" });
    }
  });

  it("drops who says nothing when 30 s are over, and nobody who has said something", async () => {
    await using daemon = await openDaemon();
    const peer = daemon.open();
    peer.socket.write(PREFACE);
    await peer.bytes(PREFACE.length);
    const silent = daemon.open();
    await vi.waitFor(() => expect(daemon.clock.waiting).toBe(1));
    await daemon.clock.advance(29_999);
    expect(daemon.clock.waiting).toBe(1);
    await daemon.clock.advance(1);
    await silent.gone();
    expect(daemon.clock.waiting).toBe(0);
    await daemon.clock.advance(3_600_000);
    peer.send(1, BODY);
    expect(await peer.frame()).toEqual({ id: 1, text: "{}" });
  });

  it("answers while a thousand connections say nothing", async () => {
    await using daemon = await openDaemon();
    const idle = Array.from({ length: 1000 }, () => daemon.open());
    await vi.waitFor(() => expect(daemon.clock.waiting).toBe(256));
    await using gateway = await openTransport(daemon.path);
    const calls = Array.from({ length: 50 }, () => gateway.call(REQUEST, soon()));
    expect(new Set(await Promise.all(calls))).toEqual(new Set(["{}"]));
    // The oldest were dropped, the youngest were not.
    await idle[0]!.gone();
    expect(idle.at(-1)!.socket.destroyed).toBe(false);
  });

  it("keeps 64 gateways and takes no other until one of them goes", async () => {
    await using daemon = await openDaemon();
    const peers = Array.from({ length: 64 }, () => daemon.open());
    for (const peer of peers) {
      peer.socket.write(PREFACE);
      await peer.bytes(PREFACE.length);
    }
    await expect(daemon.knock()).rejects.toMatchObject({ code: "TRANSPORT_UNREACHABLE" });
    expect(daemon.log.lines.map(({ level }) => level)).toContain("warn");
    await peers[0]![Symbol.asyncDispose]();
    await vi.waitFor(async () => expect(await daemon.knock()).toBe("{}"));
  });

  it("drops at its end who has said nothing, and waits 5 s for a gateway that stays", async () => {
    await using daemon = await openDaemon();
    const peer = daemon.open();
    peer.socket.write(PREFACE);
    await peer.bytes(PREFACE.length);
    const silent = daemon.open();
    await vi.waitFor(() => expect(daemon.clock.waiting).toBe(1));
    let closed = false;
    const closing = daemon.daemon.close().then(() => (closed = true));
    await silent.gone();
    expect(await peer.frame()).toEqual({ id: 0, text: "" });
    await daemon.clock.advance(4999);
    expect(closed).toBe(false);
    await daemon.clock.advance(1);
    await closing;
    expect(daemon.clock.waiting).toBe(0);
  });
});
