import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { IncomingMessage, type RequestListener, ServerResponse, createServer } from "node:http";
import { type AddressInfo, Socket, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@wkfs/core/client";
import { checkClientConfig, checkServerConfig } from "@wkfs/core/config";
import { type Gateway, type GatewayEvent, Services, createGateway } from "@wkfs/core/gateway";
import { type LogLine, MemoryLink, recordingLogger } from "@wkfs/core/testing";
import { ContainerModule } from "inversify";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Mount } from "../core/src/gateway/mount.ts";
import { Requests } from "../core/src/gateway/requests.ts";
import { freshKeys, keyFile } from "./support/gateway.ts";

const PATH = "/8f3c0c5e";
let folder: string;
let link: MemoryLink;
let lines: LogLine[];
const stack: AsyncDisposable[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "wkfs-mounted-"));
  await writeFile(join(folder, "v1.json"), keyFile(freshKeys()), { mode: 0o600 });
  link = new MemoryLink();
});
afterEach(async () => {
  for (const one of stack.splice(0).toReversed()) await one[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function mountable(section: object = {}): Promise<Gateway> {
  const keys = join(folder, "v1.json");
  const config = await checkServerConfig({ protect: { tcp: [22] }, gateway: { path: PATH, keys, ...section } });
  const module = new ContainerModule(({ bind }) => {
    bind(Services.Transport).toConstantValue(link.transport());
  });
  const log = recordingLogger();
  ({ lines } = log);
  return await createGateway({ config, plugins: [], modules: [module], listen: false, log });
}

async function started(section?: object): Promise<Gateway> {
  const gateway = await mountable(section);
  stack.push(gateway);
  await gateway.start();
  return gateway;
}

/** A web server of the test's; gives its URL. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  stack.push({
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function clientOf(url: string): Promise<Client> {
  return await createClient({ config: await checkClientConfig({ url, keys: join(folder, "v1.json") }) });
}

/** Mounts below a prefix as Express does: takes it from `url`, keeps the whole as `originalUrl`, goes on with `next`. */
function below(prefix: string, gateway: Gateway, next: RequestListener): RequestListener {
  return (request, response) => {
    const { url = "" } = request;
    if (url !== prefix && !url.startsWith(`${prefix}/`)) return next(request, response);
    Object.assign(request, { originalUrl: url, url: url.slice(prefix.length) || "/" });
    gateway.handler(request, response, () => next(request, response));
  };
}

const page: RequestListener = (_, response) => response.writeHead(200).end("a page of the program's own");

describe("a gateway in somebody else's web server", () => {
  it("answers knocks and leaves the program's own pages alone; restify is not loaded", async () => {
    const gateway = await started();
    expect(gateway.address).toBeUndefined();
    const events: GatewayEvent[] = [];
    gateway.on("event", (event) => events.push(event));
    const url = await serve((request, response) =>
      request.url === PATH ? gateway.handler(request, response) : page(request, response),
    );
    await link.transport().listen(async () => JSON.stringify({ success: true, expires: Date.now() / 1000 + 60 }));
    const client = await clientOf(url + PATH);
    expect(await client.knock()).toMatchObject({ ip: "127.0.0.1", ports: [{ opened: true }] });
    expect(await (await fetch(`${url}/`)).text()).toBe("a page of the program's own");
    // What restify adds to every answer of a process.
    expect(Object.hasOwn(ServerResponse.prototype, "_writeHead")).toBe(false);
    link.kill();
    await expect(client.knock({ time: 5 })).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
    expect(events).toMatchObject([
      { type: "answered", client: "default", address: "127.0.0.1", reply: expect.stringContaining("success") },
      { type: "failed", error: { code: "TRANSPORT_UNREACHABLE" } },
    ]);
  });

  it.each([
    ["below the prefix that stands before its path", "/knock", `/knock${PATH}`],
    ["on its very path", PATH, PATH],
    ["at the root", "", PATH],
  ])("is mounted %s by a framework", async (_, prefix, path) => {
    const gateway = await started();
    const url = await serve(below(prefix, gateway, page));
    expect(await (await clientOf(url + path)).info()).toMatchObject({ tcp: [22], ip: "127.0.0.1" });
    expect(await (await fetch(`${url}${prefix}/elsewhere`)).text()).toBe("a page of the program's own");
  });

  it("believes trusted proxies, and nobody else", async () => {
    for (const [trustedProxies, ip] of [
      [[], "127.0.0.1"],
      [["127.0.0.1"], "192.0.2.7"],
    ] as const) {
      const gateway = await started({ trustedProxies });
      const url = await serve((request, response) => {
        request.headers["x-forwarded-for"] = "203.0.113.9, 192.0.2.7";
        gateway.handler(request, response);
      });
      expect(await (await clientOf(url + PATH)).info()).toMatchObject({ ip });
    }
  });

  it("refuses what a gateway that listens refuses, and tells", async () => {
    const gateway = await started();
    const refused = once(gateway, "refused");
    const url = await serve(gateway.handler);
    const form = { "content-type": "application/x-www-form-urlencoded" };
    const statusOf = async (path: string, init: RequestInit) => (await fetch(url + path, init)).status;
    expect(await statusOf("/other", { method: "POST" })).toBe(404);
    expect(await statusOf(PATH, { method: "GET" })).toBe(400);
    expect(await statusOf(PATH, { method: "POST", headers: form, body: "data=AAAA" })).toBe(403);
    expect(await statusOf(PATH, { method: "POST", headers: form, body: `data=${"A".repeat(70_000)}` })).toBe(413);
    expect((await refused)[0]).toMatchObject({ reason: "not sealed with our keys", address: "127.0.0.1", count: 1 });
  });

  it("says in the log what to do when the body was read before", async () => {
    const gateway = await started();
    const url = await serve((request, response) => {
      request.resume().on("end", () => gateway.handler(request, response));
    });
    expect((await fetch(url + PATH, { method: "POST", body: "data=AAAA" })).status).toBe(500);
    const line = lines.find(({ level }) => level === "error");
    expect(line?.data).toMatchObject({ error: expect.any(String), hint: expect.stringContaining("before") });
  });

  it("answers 503 while it does not run, and what is under way before it stops", async () => {
    const gateway = await mountable();
    const url = await serve(gateway.handler);
    const status = async () => (await fetch(url + PATH, { method: "POST" })).status;
    expect(await status()).toBe(503);
    await gateway.start();
    const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<string>()];
    await link.transport().listen(() => (asked.resolve(), answer.promise));
    const knock = (await clientOf(url + PATH)).knock();
    await asked.promise;
    const stopped = gateway.stop();
    expect(await status()).toBe(503);
    answer.resolve(JSON.stringify({ success: true, expires: Date.now() / 1000 + 60 }));
    expect(await knock).toMatchObject({ ports: [{ opened: true }] });
    await stopped;
  });

  it.each([
    ["tls", { tls: { cert: "c", key: "k" } }],
    ["workers", { workers: 2 }],
  ])("has no %s of its own", async (name, section) => {
    await expect(mountable(section)).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining(`config.gateway.${name}`),
    });
  });
});

describe("the limits that a web server of somebody else may lack", () => {
  it("a request that does not come in whole within 20 s is cut off with 408", async () => {
    const gateway = await started();
    const arrived = Promise.withResolvers<void>();
    const url = await serve((request, response) => {
      gateway.handler(request, response);
      arrived.resolve();
    });
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    let said = "";
    socket.setEncoding("utf8").on("data", (text: string) => (said += text));
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      socket.write(`POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nda`);
      await arrived.promise;
      vi.advanceTimersByTime(19_999);
      expect(said).toBe("");
      vi.advanceTimersByTime(1);
      await once(socket, "end");
    } finally {
      vi.useRealTimers();
      socket.destroy();
    }
    expect(said).toMatch(/^HTTP\/1\.1 408 /);
  });

  it("more than 2048 requests at once get 503", () => {
    const mount = new Mount();
    const never = Object.assign(Object.create(Requests.prototype) as Requests, {
      areFor: () => true,
      answer: () => new Promise<void>(() => {}),
    });
    mount.open(never);
    const ask = () => {
      const request = Object.assign(new IncomingMessage(new Socket()), { method: "POST", url: PATH });
      const response = new ServerResponse(request);
      mount.handler(request, response);
      response.emit("close");
      return response.statusCode;
    };
    const statuses = Array.from({ length: 2049 }, ask);
    expect(statuses.indexOf(503)).toBe(2048);
  });
});
