import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { type RequestListener, type Server, createServer, request as requestOver } from "node:http";
import type { AddressInfo } from "node:net";
import { type Client, type ClientEvent, createClient } from "@wkfs/core/client";
import { loadClientConfig } from "@wkfs/core/config";
import { FakeClock, execute } from "@wkfs/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createV1Codec, decodeFormField, encodeFormField } from "../core/src/protocol/v1.ts";
import { Scratch } from "./support/files.ts";
import { TestGateway, freshKeys, keyFile, seconds } from "./support/gateway.ts";

const keys = freshKeys();
const codec = createV1Codec(keys);
let scratch: Scratch;
let server: Server | undefined;
beforeEach(async () => void (scratch = await Scratch.create()));
afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
  await scratch[Symbol.asyncDispose]();
});

async function clientOf(url: string, more: object = {}, clock?: FakeClock, signal?: AbortSignal): Promise<Client> {
  await writeFile(scratch.path("v1.json"), keyFile(keys), { mode: 0o600 });
  await writeFile(scratch.path("client.yaml"), JSON.stringify({ url, keys: "v1.json", ...more }));
  const config = await loadClientConfig(scratch.path("client.yaml"));
  return await createClient({ config, ...(clock && { clock }), ...(signal && { signal }) });
}

/** A server of the test's; gives its URL. */
async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener);
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
}

/** A server that opens packets and answers with what `reply` makes of the request. */
function answering(reply: (request: Record<string, unknown>) => object): Promise<string> {
  return serve((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      const payload = codec.open(decodeFormField(new URLSearchParams(body).get("data") ?? ""))!;
      response.end(
        codec.seal(
          Buffer.from(JSON.stringify(reply(JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown>))),
        ),
      );
    });
  });
}

/** restify's patch of `writeHead` gives nothing back in this process, so the status is set by itself. */
const status =
  (code: number): RequestListener =>
  (_, response) => {
    response.statusCode = code;
    response.setHeader("location", "/elsewhere");
    response.end();
  };

const info = { success: true, tcp: [22, 2222], udp: [1194], maxtime: 60, ip: "127.0.0.1" };

describe("a knock", () => {
  it("asks for what is configured, gets what is open and what is not", async () => {
    const asked: Record<string, unknown>[] = [];
    const expires = Math.floor(Date.now() / 1000) + 60;
    const url = await answering(
      (request) => (
        asked.push(request),
        request["api"] === "getinfo"
          ? info
          : { success: true, expires, opened: [{ proto: "TCP", num: 22 }], refused: [] }
      ),
    );
    const client = await clientOf(url, { tcp: [22, 23], udp: [1194] });
    expect(await client.knock()).toMatchObject({
      ip: "127.0.0.1",
      expires,
      ports: [
        { port: { protocol: "tcp", number: 22 }, opened: true },
        { port: { protocol: "tcp", number: 23 }, opened: false },
        { port: { protocol: "udp", number: 1194 }, opened: false },
      ],
    });
    expect(asked[1]).toMatchObject({
      api: "openports",
      ip: "127.0.0.1",
      ports: [
        { proto: "TCP", num: 22 },
        { proto: "UDP", num: 1194 },
      ],
      time: 60,
    });
  });

  it("takes a PHP server's word for ports that it offers, and asks for no others", async () => {
    const expires = Math.floor(Date.now() / 1000) + 60;
    const client = await clientOf(
      await answering((request) => (request["api"] === "getinfo" ? info : { success: true, expires })),
    );
    expect((await client.knock()).ports.map(({ opened }) => opened)).toEqual([true, true, true]);
    await expect(client.knock({ ports: { tcp: [23], udp: [] } })).rejects.toMatchObject({ code: "KNOCK_REFUSED" });
  });

  it.each<[string, RequestListener, string]>([
    ["403", status(403), "KNOCK_REFUSED"],
    ["404", status(404), "KNOCK_REFUSED"],
    ["a redirect", status(302), "KNOCK_REFUSED"],
    ["502", status(502), "SERVER_UNREACHABLE"],
    ["504", status(504), "SERVER_UNREACHABLE"],
    ["a web page", (_, response) => response.end("<html>hello</html>"), "KNOCK_REFUSED"],
    [
      "other keys",
      (_, response) => response.end(createV1Codec(freshKeys()).seal(Buffer.from(JSON.stringify(info)))),
      "KNOCK_REFUSED",
    ],
    ["an empty payload", (_, response) => response.end(codec.seal(Buffer.alloc(0))), "KNOCK_REFUSED"],
    ["endless data", (_, response) => void response.write(Buffer.alloc(1_000_000)), "SERVER_UNREACHABLE"],
    ["a broken connection", (request) => request.socket.destroy(), "SERVER_UNREACHABLE"],
  ])("that is answered with %s is an error with a hint", async (_, listener, code) => {
    const client = await clientOf(await serve(listener));
    await expect(client.info()).rejects.toMatchObject({ code, hint: expect.stringMatching(/\S/) });
  });

  it.each([
    [43, /the server's clock seems to be 43 s ahead of this one/],
    [-200, /the server's clock seems to be 3 min 20 s behind this one/],
    [-90_000, /the server's clock seems to be 25 h 0 min behind this one/],
    [14, /^127\.0\.0\.1:\d+ answered with status 403$/],
    [undefined, /^127\.0\.0\.1:\d+ answered with status 403$/],
  ])("that is answered with 403 by a clock that is %s s ahead says so", async (ahead, message) => {
    const clock = new FakeClock(1_800_000_000_000);
    const url = await serve((_, response) => {
      response.statusCode = 403;
      response.sendDate = false;
      if (ahead !== undefined) response.setHeader("Date", new Date(clock.now() + ahead * 1000).toUTCString());
      response.end();
    });
    const asked = (await clientOf(url, {}, clock)).info();
    await expect(asked).rejects.toMatchObject({ code: "KNOCK_REFUSED", message: expect.stringMatching(message) });
  });

  it("to a gateway of ours whose clock is 43 s ahead says by how much, by nothing but its answer", async () => {
    await using gateway = await TestGateway.start({}, keys);
    const clock = new FakeClock(Date.now() - 43_000);
    // The gateway's packets are of a time that stands; the header is of the host's clock.
    const asked = (await clientOf(gateway.url, {}, clock)).info();
    await expect(asked).rejects.toMatchObject({
      code: "KNOCK_REFUSED",
      message: expect.stringMatching(/seems to be 4[234] s ahead of this one/),
    });
  });

  it("that is answered with an answer of long ago is an error", async () => {
    const old = Math.floor(Date.now() / 1000) - 100;
    const client = await clientOf(
      await answering((request) => (request["api"] === "getinfo" ? info : { success: true, expires: old })),
    );
    await expect(client.knock()).rejects.toMatchObject({ code: "KNOCK_REFUSED" });
  });

  it("to nobody is an error, and a signal ends one that waits", async () => {
    await expect((await clientOf("http://127.0.0.1:1/x")).info()).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
    const waiting = Promise.withResolvers<void>();
    const client = await clientOf(await serve(() => waiting.resolve()));
    const stop = new AbortController();
    const call = client.info(stop.signal);
    await waiting.promise;
    stop.abort();
    await expect(call).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
  });
});

describe("keeping ports open", () => {
  it("renews at a third of the time, a little early; pauses longer after each failure; ends with the signal", async () => {
    const clock = new FakeClock(Math.floor(Date.now() / 1000) * 1000);
    let down = false;
    let asked: string[] = [];
    const url = await answering((request) => {
      asked.push(String(request["api"]));
      if (down) return { success: false, error: "down" };
      return request["api"] === "getinfo" ? info : { success: true, expires: Math.floor(clock.now() / 1000) + 60 };
    });
    const client = await clientOf(url, {}, clock);
    let next = Promise.withResolvers<ClientEvent>();
    const reports: ClientEvent[] = [];
    client.on("event", (event) => {
      reports.push(event);
      next.resolve(event);
      next = Promise.withResolvers();
    });
    const report = async (): Promise<ClientEvent> => {
      const [waiting, count] = [next.promise, reports.length];
      if (count > 0) await clock.advance(pauseOf(reports.at(-1)!));
      return reports.length > count ? reports.at(-1)! : await waiting;
    };
    const pauseOf = (one: ClientEvent) => (one.type === "failed" ? one.retryIn : one.renewIn);
    const started = client.start();

    const first = await report();
    expect(first.type).toBe("opened");
    expect(pauseOf(first)).toBeGreaterThanOrEqual(18_000);
    expect(pauseOf(first)).toBeLessThanOrEqual(20_000);
    await started;
    expect((await report()).type).toBe("renewed");
    expect(asked).toEqual(["getinfo", "openports", "openports"]);

    down = true;
    const pauses: number[] = [];
    for (let failure = 0; failure < 9; failure += 1) {
      const failed = await report();
      expect(failed.type).toBe("failed");
      pauses.push(pauseOf(failed));
    }
    for (const [index, pause] of pauses.entries()) {
      const longest = Math.min(60_000, 1000 * 2 ** index);
      expect(pause).toBeGreaterThanOrEqual(longest / 2);
      expect(pause).toBeLessThanOrEqual(longest);
    }
    down = false;
    asked = [];
    expect((await report()).type).toBe("opened");
    expect(asked).toEqual(["getinfo", "openports"]);
    await client.stop();
    expect(clock.waiting).toBe(0);
  });

  it("has not started before ports are open; stopped until then, it says why none is", async () => {
    const client = await clientOf("http://127.0.0.1:1/x");
    const failed = once(client, "failed");
    const started = client.start();
    expect((await failed)[0]).toMatchObject({ error: { code: "SERVER_UNREACHABLE" } });
    expect(client.status).toBe("starting");
    await Promise.all([client.stop(), expect(started).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" })]);
    expect(client.status).toBe("stopped");
    await expect(client.knock()).rejects.toMatchObject({ code: "STATE_INVALID" });
  });

  it("ends with its signal, a knock that is under way too", async () => {
    const asked = Promise.withResolvers<void>();
    const url = await serve(() => asked.resolve());
    const stop = new AbortController();
    const client = await clientOf(url, {}, undefined, stop.signal);
    const [started, knock] = [client.start(), client.knock()];
    await asked.promise;
    stop.abort();
    await expect(knock).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
    await expect(started).rejects.toMatchObject({ code: "STATE_INVALID" });
    await client.stopped;
    await expect(clientOf(url, {}, undefined, stop.signal)).rejects.toBe(stop.signal.reason);
  });
});

describe("over TLS and over a unix socket", () => {
  it("a gateway with a certificate answers a client that trusts it, and no other", async () => {
    const tls = await scratch.certificate();
    await using gateway = await TestGateway.start({ tls }, keys);
    const url = gateway.url.replace("http:", "https:");
    const clock = new FakeClock(seconds() * 1000);
    expect(await (await clientOf(url, { ca: tls.cert }, clock)).info()).toMatchObject({
      tcp: [22, 2222],
      ip: "127.0.0.1",
    });
    await expect((await clientOf(url, {}, clock)).info()).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
  });

  it("a gateway on a unix socket takes the address from its proxy, and a stale socket away", async () => {
    const path = scratch.path("gateway.sock");
    const body = `data=${encodeFormField(codec.seal(Buffer.from(JSON.stringify({ api: "getinfo", ver: 1, ts: seconds() }))))}`;
    const ask = (headers: Record<string, string>) =>
      new Promise<{ status: number | undefined; payload: string }>((resolve, reject) => {
        const call = requestOver(
          {
            socketPath: path,
            path: "/8f3c0c5e",
            method: "POST",
            headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
          },
          (response) => {
            const chunks: Buffer[] = [];
            response.on("data", (chunk: Buffer) => chunks.push(chunk));
            response.on("end", () =>
              resolve({
                status: response.statusCode,
                payload: response.statusCode === 200 ? Buffer.from(codec.open(Buffer.concat(chunks))!).toString() : "",
              }),
            );
          },
        );
        call.on("error", reject);
        call.end(body);
      });
    // A socket that a process left behind when it was killed.
    await execute([
      process.execPath,
      "-e",
      `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`,
    ]);
    await using gateway = await TestGateway.start({ listen: `unix:${path}` }, keys);
    expect(gateway.gateway.address).toBe(`unix:${path}`);
    expect((await ask({ "x-forwarded-for": "192.0.2.7" })).payload).toContain('"ip":"192.0.2.7"');
    expect((await ask({})).status).toBe(403);
    await expect(TestGateway.start({ listen: `unix:${path}` }, keys)).rejects.toMatchObject({
      code: "HOST_UNSUPPORTED",
    });
  });
});
