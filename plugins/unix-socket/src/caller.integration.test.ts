import { FakeClock } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { FrameDaemon } from "../../localhost-tcp/testing/frame-peers.ts";
import { Folder, REQUEST, RawServer, openTransport } from "../testing/peers.ts";

const soon = () => AbortSignal.timeout(10_000);
const UNREACHABLE = { name: "WkfsError", code: "TRANSPORT_UNREACHABLE", hint: expect.any(String) };
const outcome = (call: Promise<string>) => call.catch((error: unknown) => error);
const calls = (gateway: Awaited<ReturnType<typeof openTransport>>, count: number) =>
  Promise.all(Array.from({ length: count }, () => outcome(gateway.call(REQUEST, soon()))));

/** A server that says what it is told to when somebody comes, and nothing more; `came` resolves then. */
async function openMute(path: string, text: string | Uint8Array = "") {
  const came = Promise.withResolvers<void>();
  let heard = 0;
  const server = await RawServer.open(path, (socket, piece) => {
    heard += piece.length;
    socket.write(text);
    came.resolve();
  });
  return Object.assign(server, { came: came.promise, heard: () => heard });
}

describe("the gateway's side", () => {
  it("has one connection for all calls, also for those that come while it is made", async () => {
    await using folder = await Folder.create();
    const path = folder.in("s");
    await using daemon = await FrameDaemon.open((peer, { id }) => peer.send(id, "{}"), { listenOn: { path } });
    await using gateway = await openTransport(path);
    expect(new Set(await calls(gateway, 50))).toEqual(new Set(["{}"]));
    expect(new Set(await calls(gateway, 50))).toEqual(new Set(["{}"]));
    expect(daemon.peers).toHaveLength(1);
    expect(daemon.seen[0]).toEqual({ id: 1, text: JSON.stringify(REQUEST) });
    expect(daemon.seen).toHaveLength(100);
  });

  it.each([
    ["nothing", ""],
    ["half of its preface", "\0wkfs"],
  ])("has sent nothing when a daemon says %s within 3 s", async (_, text) => {
    await using folder = await Folder.create();
    const clock = new FakeClock();
    await using mute = await openMute(folder.in("s"), text);
    await using gateway = await openTransport(folder.in("s"), {}, { clock });
    const waiting = calls(gateway, 3);
    await mute.came;
    await clock.advance(2999);
    expect(clock.waiting).toBe(1);
    await clock.advance(1);
    for (const error of await waiting) expect(error).toMatchObject(UNREACHABLE);
    expect(mute.heard()).toBe(8);
    expect(clock.waiting).toBe(0);
  });

  it.each([
    ["another preface", "\0wkfs\0\0\u0002"],
    ["JSON", '{"success":true}'],
    ["a megabyte", "x".repeat(1_048_576)],
  ])("has sent nothing when a daemon says %s", async (_, text) => {
    await using folder = await Folder.create();
    await using mute = await openMute(folder.in("s"), text);
    await using gateway = await openTransport(folder.in("s"));
    for (const error of await calls(gateway, 3)) expect(error).toMatchObject(UNREACHABLE);
    expect(mute.heard()).toBe(8);
  });

  it("connects anew when a daemon says in one breath that it is there and about to stop", async () => {
    await using folder = await Folder.create();
    const goodbye = Buffer.concat([Buffer.from("\0wkfs\0\0\u0001", "latin1"), Buffer.alloc(8)]);
    const mute = await openMute(folder.in("s"), goodbye);
    await using gateway = await openTransport(folder.in("s"));
    expect(await outcome(gateway.call(REQUEST, soon()))).toMatchObject(UNREACHABLE);
    await mute[Symbol.asyncDispose]();
    await using _ = await FrameDaemon.open((peer, { id }) => peer.send(id, "{}"), {
      listenOn: { path: folder.in("s") },
    });
    expect(await gateway.call(REQUEST, soon())).toBe("{}");
  });

  it("lets a call go that is called off while the connection is made, and no other with it", async () => {
    await using folder = await Folder.create();
    const clock = new FakeClock();
    await using mute = await openMute(folder.in("s"));
    await using gateway = await openTransport(folder.in("s"), {}, { clock });
    const off = new AbortController();
    const call = outcome(gateway.call(REQUEST, off.signal));
    let settled = false;
    const other = outcome(gateway.call(REQUEST, soon())).finally(() => (settled = true));
    await mute.came;
    off.abort();
    expect(await call).toMatchObject(UNREACHABLE);
    expect(settled).toBe(false);
    await gateway.close();
    expect(await other).toMatchObject(UNREACHABLE);
    expect(clock.waiting).toBe(0);
  });

  it("sends no request that is larger than a daemon takes, or no JSON", async () => {
    await using folder = await Folder.create();
    await using gateway = await openTransport(folder.in("s"));
    const failed = { code: "TRANSPORT_FAILED" };
    await expect(gateway.call({ ...REQUEST, ip: "x".repeat(65_536) }, soon())).rejects.toMatchObject(failed);
    await expect(gateway.call({ ...REQUEST, time: 1n }, soon())).rejects.toMatchObject(failed);
  });

  it("makes no connection once it is closed", async () => {
    await using folder = await Folder.create();
    await using mute = await openMute(folder.in("s"));
    const gateway = await openTransport(folder.in("s"));
    const call = outcome(gateway.call(REQUEST, soon()));
    await gateway.close();
    expect(await call).toMatchObject(UNREACHABLE);
    await expect(gateway.call(REQUEST, soon())).rejects.toMatchObject({ code: "STATE_INVALID" });
    expect(mute.heard()).toBe(0);
  });
});
