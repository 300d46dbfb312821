import { once } from "node:events";
import type { Socket } from "node:net";
import { FakeClock } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import {
  REFUSAL,
  REQUEST,
  RawDaemon,
  SECRET,
  freePort,
  openDaemon,
  openTransport,
  recordedExchanges,
  requestText,
} from "../testing/peers.ts";

const soon = () => AbortSignal.timeout(10_000);
/** The first request to a daemon asks for frames, which the PHP program's passes over as it does any member. */
const asking = (request: string) => `${request.slice(0, -1)},"frames":1}`;

/** Calls a daemon that does as `act` says, with the request in full. */
async function callDaemon(act: Parameters<typeof RawDaemon.open>[0]): Promise<string> {
  const whole = asking(requestText());
  await using daemon = await RawDaemon.open((socket, text) => {
    if (text === whole) act(socket, text);
  });
  await using gateway = await openTransport({ port: daemon.port });
  return await gateway.call(REQUEST, soon());
}

describe("a call", () => {
  it("says and hears byte for byte what was recorded from the PHP program", async () => {
    for (const { request, response } of await recordedExchanges()) {
      const known = [request, asking(request)];
      await using daemon = await RawDaemon.open((socket, text) => known.includes(text) && socket.end(response));
      const { secret, ...grant } = JSON.parse(request) as { secret: string; ip: string; ports: unknown; time: number };
      await using gateway = await openTransport({ port: daemon.port }, { secret });
      expect(await gateway.call(grant, soon())).toBe(response);
      expect(await gateway.call(grant, soon())).toBe(response);
      expect(daemon.received).toBe(asking(request) + request);
    }
  });

  it("writes its members in the PHP program's order, and the client after them when there is one", async () => {
    await using daemon = await RawDaemon.open((socket, text) => text.endsWith("}") && socket.end("{}"));
    await using gateway = await openTransport({ port: daemon.port });
    await gateway.call({ client: "phone", time: 1, ports: {}, ip: "x" }, soon());
    expect(daemon.received).toBe(`{"secret":"${SECRET}","ip":"x","ports":{},"time":1,"client":"phone","frames":1}`);
  });

  it("does not close its side before it has the answer", async () => {
    let halfClosed = false;
    const asked = Promise.withResolvers<void>();
    await using daemon = await RawDaemon.open((socket) => {
      socket.on("end", () => void (halfClosed = true));
      asked.resolve();
      // A turn of the loop and more, in which the end would be seen.
      setTimeout(() => {
        if (!halfClosed) socket.end("{}");
        else socket.destroy();
      }, 50);
    });
    await using gateway = await openTransport({ port: daemon.port });
    expect(await gateway.call(REQUEST, soon())).toBe("{}");
  });

  it("joins an answer that comes in pieces, characters cut in two among them", async () => {
    const reply = Buffer.from('{"text":"ü😀"}');
    const text = await callDaemon(async (socket) => {
      socket.setNoDelay(true);
      for (const byte of reply) await new Promise((resolve) => socket.write(Uint8Array.of(byte), resolve));
      socket.end();
    });
    expect(text).toBe(reply.toString());
  });

  it.each([
    ["closes without a word", (socket) => socket.end()],
    ["resets the connection", (socket) => socket.resetAndDestroy()],
    ["writes half and closes", (socket) => socket.end('{"success":true,"exp')],
    ["writes half and resets", (socket) => socket.write('{"success":', () => socket.resetAndDestroy())],
    ["begins with a byte order mark", (socket) => socket.end("\uFEFF{}")],
    ["answers with a scalar", (socket) => socket.end("true")],
    ["answers with what is not UTF-8", (socket) => socket.end(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))],
    ["says more than 64 KiB", (socket) => socket.end(`{"pad":"${"x".repeat(65_536)}"}`)],
    ["does not stop to talk", (socket) => flood(socket)],
    ["does not accept the secret", (socket) => socket.end(REFUSAL)],
    [
      "does not accept the secret, in the PHP program's words",
      (socket) => socket.end('{"success":false,"error":"Missing \'secret\'.","0":"missing_secret"}'),
    ],
  ] satisfies [string, Parameters<typeof RawDaemon.open>[0]][])("fails when the daemon %s", async (_, act) => {
    await expect(callDaemon(act)).rejects.toMatchObject({ name: "WkfsError", code: "TRANSPORT_FAILED" });
  });

  it("takes the daemon's other refusals for answers", async () => {
    const refusal = '{"success":false,"error":"Missing \'ip\'.","0":"missing_ip"}';
    expect(await callDaemon((socket) => socket.end(refusal))).toBe(refusal);
  });

  it("gives up after 60 s when the daemon says nothing, and leaves no connection", async () => {
    const clock = new FakeClock();
    const asked = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    await using daemon = await RawDaemon.open((socket) => {
      socket.once("close", left.resolve);
      socket.once("end", () => socket.end());
      asked.resolve();
    });
    await using gateway = await openTransport({ port: daemon.port }, { clock });
    const call = gateway.call(REQUEST, soon()).catch((error: unknown) => error);
    await asked.promise;
    await clock.advance(59_999);
    expect(clock.waiting).toBe(1);
    await clock.advance(1);
    expect(await call).toMatchObject({ code: "TRANSPORT_FAILED" });
    expect(clock.waiting).toBe(0);
    await left.promise;
  });

  it("is sent once, whatever becomes of it", async () => {
    let connections = 0;
    await using daemon = await RawDaemon.open((socket) => {
      connections += 1;
      socket.resetAndDestroy();
    });
    await using gateway = await openTransport({ port: daemon.port });
    await expect(gateway.call(REQUEST, soon())).rejects.toMatchObject({ code: "TRANSPORT_FAILED" });
    expect(connections).toBe(1);
  });

  it("knows that nothing was opened when nobody listens", async () => {
    await using gateway = await openTransport({ port: await freePort() });
    await expect(gateway.call(REQUEST, soon())).rejects.toMatchObject({ code: "TRANSPORT_UNREACHABLE" });
  });

  it("waits for its turn 3 s and no longer when too many are under way", async () => {
    const clock = new FakeClock();
    const asked = Promise.withResolvers<Socket>();
    let seen = 0;
    await using daemon = await RawDaemon.open((socket, text) => {
      if (!text.endsWith("}")) return;
      asked.resolve(socket);
      seen += 1;
      if (seen > 1) socket.end("{}");
    });
    await using gateway = await openTransport({ port: daemon.port, maxConnections: 1 }, { clock });
    const first = gateway.call(REQUEST, soon());
    const held = await asked.promise;
    const late = gateway.call(REQUEST, soon()).catch((error: unknown) => error);
    await clock.advance(2_999);
    const inTime = gateway.call(REQUEST, soon());
    await clock.advance(1);
    expect(await late).toMatchObject({ code: "TRANSPORT_UNREACHABLE" });
    held.end("{}");
    expect(await Promise.all([first, inTime])).toEqual(["{}", "{}"]);
    expect(seen).toBe(2);
  });

  it("sends no request that is larger than a daemon takes, or no JSON", async () => {
    await using daemon = await openDaemon();
    await using gateway = await openTransport({ port: daemon.port });
    const failed = { code: "TRANSPORT_FAILED" };
    await expect(gateway.call({ ...REQUEST, ip: "x".repeat(65_536) }, soon())).rejects.toMatchObject(failed);
    await expect(gateway.call({ ...REQUEST, time: 1n }, soon())).rejects.toMatchObject(failed);
    expect(daemon.seen).toEqual([]);
  });

  it("is over when the gateway closes, and none is begun after that", async () => {
    await using daemon = await RawDaemon.open(() => {});
    const gateway = await openTransport({ port: daemon.port });
    const call = gateway.call(REQUEST, soon()).catch((error: unknown) => error);
    await gateway.close();
    expect(await call).toMatchObject({ name: "WkfsError" });
    await expect(gateway.call(REQUEST, soon())).rejects.toMatchObject({ code: "STATE_INVALID" });
  });

  it("works over IPv6", async () => {
    await using daemon = await openDaemon({ host: "::1" });
    await using gateway = await openTransport({ host: "::1", port: daemon.port });
    expect(await gateway.call(REQUEST, soon())).toBe('{"success":true}');
  });
});

/** Writes until the other side has had enough. */
async function flood(socket: Parameters<Parameters<typeof RawDaemon.open>[0]>[0]): Promise<void> {
  const closed = once(socket, "close").catch(() => {});
  const piece = Buffer.alloc(16_384, "x");
  const more = () => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.on("drain", more);
  more();
  await closed;
}
