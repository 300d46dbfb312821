import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer as createHttpServer, request as httpRequest } from "node:http";
import { type AddressInfo, createConnection, createServer } from "node:net";
import { createClient } from "@wkfs/core/client";
import { checkServerConfig, loadClientConfig } from "@wkfs/core/config";
import { Services, createDaemon } from "@wkfs/core/daemon";
import { createGateway } from "@wkfs/core/gateway";
import { FakeClock, MemoryFirewall, MemoryStore } from "@wkfs/core/testing";
import localhostTcp from "@wkfs/localhost-tcp";
import { ContainerModule } from "inversify";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createV1Codec } from "../core/src/protocol/v1.ts";
import { Scratch } from "./support/files.ts";

/** What the PHP program's halves said to each other, recorded on the wire. */
interface Exchange {
  readonly t: number;
  readonly kind: "http" | "localhost";
  readonly from: string;
  readonly request_head?: readonly string[];
  readonly request_body?: string;
  readonly request_json?: string;
  readonly response_head?: readonly string[];
  readonly response_body_b64?: string;
  readonly response_json?: string;
  readonly request?: string;
  readonly response?: string;
}
type Hex = Record<"key1" | "iv1" | "key2" | "iv2" | "sign", string>;

const data = async <Shape>(name: string) =>
  JSON.parse(await readFile(new URL(`data/${name}`, import.meta.url), "utf8")) as Shape;
const { exchanges } = await data<{ exchanges: Exchange[] }>("v1-exchanges.json");
const keys = (await data<{ keysets: Record<"A", Hex> }>("v1-vectors.json")).keysets.A;
const bytes = (hex: string) => Buffer.from(hex, "hex");
const codec = createV1Codec({
  key1: bytes(keys.key1),
  iv1: bytes(keys.iv1),
  key2: bytes(keys.key2),
  iv2: bytes(keys.iv2),
  sign: bytes(keys.sign),
});
const web = exchanges.filter(({ kind }) => kind === "http");
const local = exchanges.filter(({ kind }) => kind === "localhost");
const SECRET = (JSON.parse(local[0]!.request!) as { secret: string }).secret;
const protect = { tcp: [22, 2222], udp: [1194], maxTime: 600 };

let scratch: Scratch;
beforeAll(async () => {
  scratch = await Scratch.create();
  await writeFile(scratch.path("v1.json"), JSON.stringify(keys), { mode: 0o600 });
  await writeFile(scratch.path("secret"), `${SECRET}\n`, { mode: 0o600 });
});
afterAll(async () => await scratch[Symbol.asyncDispose]());

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function configOf(transportPort: number) {
  return await checkServerConfig({
    protect,
    gateway: {
      listen: "127.0.0.1:0",
      path: "/wk/index.php",
      keys: scratch.path("v1.json"),
      trustedProxies: ["127.0.0.1"],
    },
    transport: { use: "localhost-tcp", port: transportPort, secret: scratch.path("secret") },
  });
}

/** Our daemon with the real transport, at a time of the recording. */
async function ourDaemon(clock: FakeClock, port: number) {
  const firewall = new MemoryFirewall({ clock });
  const modules = [
    new ContainerModule(({ bind }) => {
      bind(Services.Clock).toConstantValue(clock);
      bind(Services.Store).toConstantValue(new MemoryStore());
      bind(Services.Firewalls).toConstantValue([{ name: "memory", plugin: firewall }]);
    }),
  ];
  const daemon = await createDaemon({ config: await configOf(port), plugins: [localhostTcp], modules });
  await daemon.start();
  return { daemon, firewall };
}

async function ourGateway(clock: FakeClock, port: number) {
  const modules = [new ContainerModule(({ bind }) => void bind(Services.Clock).toConstantValue(clock))];
  const gateway = await createGateway({ config: await configOf(port), plugins: [localhostTcp], modules });
  await gateway.start();
  return gateway;
}

/** Writes raw text to a port and gives all that comes back until the other side closes; our side stays open. */
async function raw(port: number, text: string): Promise<Buffer> {
  const socket = createConnection({ port, host: "127.0.0.1", allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.write(text);
  await once(socket, "end");
  socket.destroy();
  return Buffer.concat(chunks);
}

/** The recording's time of a request, as a full second: no gateway of before can have seen it. */
const secondOf = (exchange: Exchange) => (JSON.parse(exchange.request_json!) as { ts: number }).ts;

describe("PHP's client with our gateway and our daemon", () => {
  it.each(web.map((exchange, index) => [index + 1, exchange] as const))(
    "exchange %i: the same answer, and more",
    async (_, exchange) => {
      const clock = new FakeClock(secondOf(exchange) * 1000);
      const port = await freePort();
      await using gateway = await ourGateway(clock, port);
      const { daemon, firewall } = await ourDaemon(clock, port);
      await using running = daemon;
      expect(running.status).toBe("running");
      const webPort = Number(gateway.address!.split(":").at(-1));
      const { ip = exchange.from } = JSON.parse(exchange.request_json!) as { ip?: string };
      const expected = JSON.parse(exchange.response_json!) as { ip?: string };
      // The recorded head to the letter, but for the line that the proxy in front of us adds.
      const head = [...exchange.request_head!, `X-Forwarded-For: ${expected.ip ?? ip}`].join("\r\n");
      const answer = await raw(webPort, `${head}\r\n\r\n${exchange.request_body}`);
      const end = answer.indexOf("\r\n\r\n");
      expect(answer.subarray(0, end).toString()).toMatch(
        /^HTTP\/1\.1 200 OK\r\n[^]*Content-Type: application\/octet-stream/,
      );
      const packet = answer.subarray(end + 4);
      expect(packet.length).toBe(512);
      const payload = JSON.parse(Buffer.from(codec.open(packet)!).toString()) as Record<string, unknown>;
      expect(payload).toMatchObject(expected);
      const { ports } = JSON.parse(exchange.request_json!) as { ports?: unknown[] };
      expect(firewall.kernel.size).toBe(ports?.length ?? 0);
      if (ports !== undefined) expect(payload["opened"]).toEqual(ports);
    },
  );
});

describe("PHP's front end with our daemon", () => {
  it.each(local.map((exchange, index) => [index + 1, exchange] as const))(
    "exchange %i: the same answer, and more",
    async (_, exchange) => {
      const clock = new FakeClock(Math.floor(exchange.t) * 1000);
      const port = await freePort();
      const { daemon } = await ourDaemon(clock, port);
      await using running = daemon;
      expect(running.status).toBe("running");
      const reply = JSON.parse((await raw(port, exchange.request!)).toString()) as Record<string, unknown>;
      expect(reply).toMatchObject(JSON.parse(exchange.response!) as object);
      expect(reply["opened"]).toEqual((JSON.parse(exchange.request!) as { ports: unknown }).ports);
    },
  );

  it("PHP's error texts, with a code where PHP has a stray key", async () => {
    const port = await freePort();
    const { daemon } = await ourDaemon(new FakeClock(), port);
    await using running = daemon;
    expect(running.status).toBe("running");
    const good = { secret: SECRET, ip: "10.91.0.2", ports: [{ proto: "TCP", num: 22 }], time: 60 };
    for (const [more, error, errorcode] of [
      [{ secret: "x" }, "Missing 'secret'.", "missing_secret"],
      [{ ip: 7 }, "Missing 'ip'.", "missing_ip"],
      [{ ports: "22" }, "Missing 'ports'.", "missing_ports"],
      [{ time: 0 }, "Missing or invalid 'time'.", "missing_time"],
    ] as const) {
      expect(JSON.parse((await raw(port, JSON.stringify({ ...good, ...more }))).toString())).toEqual({
        success: false,
        error,
        errorcode,
      });
    }
    // Where PHP says success and opens nothing, we say that nothing was opened.
    const nothing = JSON.stringify({ ...good, ports: [{ proto: "TCP", num: 23 }] });
    expect(JSON.parse((await raw(port, nothing)).toString())).toMatchObject({ success: false, errorcode: "no_ports" });
  });
});

describe("our gateway with PHP's daemon", () => {
  it("speaks as PHP's front end does: one object, no line end, no half-close; passes the reply on to the letter", async () => {
    const [exchange] = web.filter(({ request_json }) => request_json!.includes("openports"));
    const clock = new FakeClock(secondOf(exchange!) * 1000);
    const reply = '{"success":false,"error":"Missing or invalid \'time\'.","0":"missing_time"}';
    const read: string[] = [];
    let halfClosed = false;
    // As server.php does it: reads until what came decodes, answers, and closes.
    const php = createServer({ allowHalfOpen: true }, (socket) => {
      let text = "";
      socket.on("end", () => void (halfClosed ||= socket.writable && !socket.writableEnded));
      socket.on("data", (chunk) => {
        text += chunk.toString();
        try {
          JSON.parse(text);
        } catch {
          return;
        }
        read.push(text);
        socket.end(reply);
      });
    }).listen(0, "127.0.0.1");
    await once(php, "listening");
    await using gateway = await ourGateway(clock, (php.address() as AddressInfo).port);
    const head = [...exchange!.request_head!, `X-Forwarded-For: ${exchange!.from}`].join("\r\n");
    const answer = await raw(Number(gateway.address!.split(":").at(-1)), `${head}\r\n\r\n${exchange!.request_body}`);
    expect(Buffer.from(codec.open(answer.subarray(answer.indexOf("\r\n\r\n") + 4))!).toString()).toBe(reply);
    // PHP's front end sends these bytes; ours adds the name of the key set and asks for frames at the end, which PHP's
    // daemon passes over.
    expect(read).toEqual([local[0]!.request!.replace(/\}$/, ',"client":"default","frames":1}')]);
    expect(halfClosed).toBe(false);
    php.close();
  });

  it("asks it to close with nothing that it could take for an opening, and tells the client that it cannot", async () => {
    const read: Record<string, unknown>[] = [];
    // The checks of server.php, in its order and with its answers.
    const php = createServer({ allowHalfOpen: true }, (socket) => {
      socket.once("data", (chunk) => {
        const asked = JSON.parse(chunk.toString()) as Record<string, unknown>;
        read.push(asked);
        const no = (error: string, code: string) => JSON.stringify({ success: false, error, 0: code });
        if (asked["secret"] !== SECRET) socket.end(no("Missing 'secret'.", "missing_secret"));
        else if (typeof asked["ip"] !== "string") socket.end(no("Missing 'ip'.", "missing_ip"));
        else if (typeof asked["ports"] !== "object") socket.end(no("Missing 'ports'.", "missing_ports"));
        else socket.end('{"success":true,"expires":1}');
      });
    }).listen(0, "127.0.0.1");
    await once(php, "listening");
    const clock = new FakeClock(secondOf(web[0]!) * 1000);
    await using gateway = await ourGateway(clock, (php.address() as AddressInfo).port);
    const url = `http://${gateway.address}/wk/index.php`;
    // The gateway takes 127.0.0.1 for a proxy, which has to say whose request it is.
    const proxy = createHttpServer((request, response) => {
      const headers = { ...request.headers, "x-forwarded-for": "192.0.2.7" };
      const passed = httpRequest(url, { method: "POST", headers }, (answer) => {
        response.statusCode = answer.statusCode!;
        answer.pipe(response);
      });
      request.pipe(passed);
    }).listen(0, "127.0.0.1");
    await once(proxy, "listening");
    await writeFile(
      scratch.path("client.yaml"),
      JSON.stringify({
        url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/wk/index.php`,
        keys: "v1.json",
      }),
    );
    const client = await createClient({ config: await loadClientConfig(scratch.path("client.yaml")), clock });
    await expect(client.closePorts()).rejects.toMatchObject({ code: "CLOSE_UNSUPPORTED" });
    expect(read).toEqual([{ secret: SECRET, ip: "192.0.2.7", client: "default", close: {}, frames: 1 }]);
    proxy.close();
    php.close();
  });
});

describe("our client with PHP's front end", () => {
  it("understands its answers as they were recorded, in chunks", async () => {
    const [info, open] = web;
    const answers = [info!, open!];
    const asked: unknown[] = [];
    const php = createServer((socket) => {
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString();
        const form = /\r\n\r\ndata=(\S+)$/.exec(text)?.[1];
        if (form === undefined || form.length < 683) return;
        asked.push(JSON.parse(Buffer.from(codec.open(Buffer.from(form, "base64url"))!).toString()));
        const { response_head, response_body_b64 } = answers.shift()!;
        const packet = Buffer.from(response_body_b64!, "base64");
        socket.write(`${response_head!.join("\r\n")}\r\n\r\n${packet.length.toString(16)}\r\n`);
        socket.write(packet);
        socket.end("\r\n0\r\n\r\n");
      });
    }).listen(0, "127.0.0.1");
    await once(php, "listening");
    const { port } = php.address() as AddressInfo;
    await writeFile(
      scratch.path("client.yaml"),
      JSON.stringify({ url: `http://127.0.0.1:${port}/wk/index.php`, keys: "v1.json", tcp: [2222] }),
    );
    const clock = new FakeClock(secondOf(open!) * 1000);
    const client = await createClient({ config: await loadClientConfig(scratch.path("client.yaml")), clock });
    expect(await client.knock({ time: 6 })).toEqual({
      ip: "10.91.0.2",
      ports: [{ port: { protocol: "tcp", number: 2222 }, opened: true }],
      expires: secondOf(open!) + 6,
      lasts: 6,
      server: { tcp: [22, 2222], udp: [1194], maxTime: 600, ip: "10.91.0.2" },
    });
    // What our client says is what PHP's said, and what makes its request unlike any other.
    const said = web.slice(0, 2).map(({ request_json }) => JSON.parse(request_json!) as object);
    expect(asked).toEqual([said[0], { ...said[1], nonce: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown }]);
    php.close();
  });
});
