import { once } from "node:events";
import { createConnection } from "node:net";
import { FakeClock, settle } from "@wkfs/core/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { TestGateway, freshKeys, seconds } from "./support/gateway.ts";

const HTML = "text/html; charset=UTF-8";
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await TestGateway.start();
});
afterAll(async () => await gateway[Symbol.asyncDispose]());

const info = (more: object = {}) => ({ api: "getinfo", ver: 1, ts: seconds(), ...more });
/** Never twice the same payload, so that the replay guard stays out of the way. */
let unique = 0;
const open = (more: object = {}) => ({
  api: "openports",
  ip: "127.0.0.1",
  ports: [{ proto: "TCP", num: 22 }],
  time: 60,
  ver: 1,
  ts: seconds(),
  unique: (unique += 1),
  ...more,
});
/** Sends bytes and gives everything that comes back until the end of the connection. */
async function raw(text: string, to = gateway): Promise<string> {
  const [host, port] = to.gateway.address!.split(":");
  const socket = createConnection(Number(port), host);
  let answer = "";
  socket.on("data", (chunk) => (answer += chunk));
  socket.write(text);
  await once(socket, "close");
  return answer;
}
const empty = (status: number) => ({ status, type: HTML, body: Buffer.alloc(0) });

describe("the table of protocol v1, in its order", () => {
  it("1: 400 for another method, another type, or no field data", async () => {
    const data = `data=${gateway.form(info())}`;
    for (const method of ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
      expect(await gateway.fetch({ method })).toMatchObject(empty(400));
    expect(await gateway.fetch({ method: "HEAD" })).toMatchObject({ status: 400 });
    expect(await gateway.post(data, { "content-type": "text/plain" })).toMatchObject(empty(400));
    expect(await gateway.post(data, { "content-type": "application/json" })).toMatchObject(empty(400));
    expect(await gateway.post("")).toMatchObject(empty(400));
    expect(await gateway.post("dat=x")).toMatchObject(empty(400));
    expect(
      await gateway.fetch(
        { method: "POST", body: "", headers: { "content-type": "application/x-www-form-urlencoded" } },
        `?${data}`,
      ),
    ).toMatchObject(empty(400));
  });

  it("2: 403 for what our keys did not seal", async () => {
    const stranger = await TestGateway.start({}, freshKeys());
    await using _ = stranger;
    for (const data of ["", "x", "%00", "a".repeat(683), stranger.form(info()), gateway.form(info()).slice(0, -1)]) {
      expect(await gateway.post(`data=${data}`)).toMatchObject(empty(403));
    }
  });

  it("3: 403 for what is no request, or not of now", async () => {
    for (const payload of [
      "",
      "null",
      "1",
      '"getinfo"',
      "[]",
      "{}",
      "\uFEFF{}",
      info({ ver: null }),
      info({ ts: null }),
      info({ api: null }),
    ]) {
      expect(await gateway.knock(payload)).toMatchObject(empty(403));
    }
    expect(await gateway.knock(info({ ts: seconds() - 17 }))).toMatchObject(empty(403));
    expect(await gateway.knock(info({ ts: seconds() + 17 }))).toMatchObject(empty(403));
    expect(await gateway.knock(info({ ts: seconds() + 14 }))).toMatchObject({ status: 200 });
  });

  it("4: 405 for another version, before the api is looked at", async () => {
    const text = "The version of your client does not match the version of the server.";
    expect(await gateway.knock({ api: "nonsense", ver: 2, ts: seconds() })).toMatchObject({
      status: 405,
      type: HTML,
      body: Buffer.from(text),
    });
  });

  it("5: getinfo", async () => {
    const answer = await gateway.knock(info({ ip: "ignored" }));
    expect(answer).toMatchObject({ status: 200, type: "application/octet-stream" });
    expect(answer.body.length).toBe(512);
    expect(answer.payload).toBe('{"success":true,"tcp":[22,2222],"udp":[1194],"maxtime":600,"ip":"127.0.0.1"}');
  });

  it("6: 403 for another address, no ports or no time", async () => {
    for (const more of [
      { ip: "127.0.0.2" },
      { ip: "::ffff:127.0.0.1" },
      { ip: null },
      { ip: ["127.0.0.1"] },
      { ports: null },
      { time: null },
    ]) {
      expect(await gateway.knock(open(more))).toMatchObject(empty(403));
    }
  });

  it("7: 504 when the daemon cannot be reached", async () => {
    expect(await gateway.knock(open())).toMatchObject(empty(504));
  });

  it("8: what the daemon wrote, to the letter; nothing when it broke off", async () => {
    await using own = await TestGateway.start();
    const reply = '{"success":false,"error":"Missing \'ip\'.","0":"missing_ip"}';
    await own.daemon(reply);
    expect(await own.knock(open())).toMatchObject({ status: 200, type: "application/octet-stream", payload: reply });
    expect(own.link.taken).toEqual([
      { ip: "127.0.0.1", ports: [{ proto: "TCP", num: 22 }], time: 60, client: "default" },
    ]);
    own.link.broken = true;
    expect(await own.knock(open())).toMatchObject({ status: 200, payload: "" });
  });

  it("9: 405 for another api", async () => {
    for (const api of ["GetInfo", "close", ["getinfo"], 1]) {
      expect(await gateway.knock(info({ api }))).toMatchObject({
        status: 405,
        type: HTML,
        body: Buffer.from("Unknown 'api' option."),
      });
    }
  });

  it("404 for every other path, whatever comes with it", async () => {
    for (const path of ["/", "x", "/index.php", "%00"]) {
      expect(await gateway.fetch({ method: "POST", body: `data=${gateway.form(info())}` }, path)).toMatchObject(
        empty(404),
      );
    }
    expect(await gateway.fetch({ method: "GET" }, "/")).toMatchObject(empty(404));
  });
});

describe("the form", () => {
  it("may be standard base64, percent-encoded, with padding and line breaks", async () => {
    const form = gateway.form(info());
    const standard = form.replaceAll("-", "+").replaceAll("_", "/");
    expect(await gateway.post(`data=${encodeURIComponent(`${standard}=`)}`)).toMatchObject({ status: 200 });
    expect(await gateway.post(`data=${form.slice(0, 100)}%0A%0D ${form.slice(100)}`)).toMatchObject({ status: 200 });
    expect(
      await gateway.post(`data=${form}`, { "content-type": "Application/X-WWW-Form-Urlencoded; charset=UTF-8" }),
    ).toMatchObject({ status: 200 });
  });

  it("counts the last of two fields data, and no list", async () => {
    const form = gateway.form(info());
    expect(await gateway.post(`data=x&data=${form}`)).toMatchObject({ status: 200 });
    expect(await gateway.post(`data=${form}&data=x`)).toMatchObject(empty(403));
    expect(await gateway.post(`data[]=${form}`)).toMatchObject(empty(400));
    expect(await gateway.post(`data=${form}&data[]=x`)).toMatchObject(empty(400));
    expect(await gateway.post(`data%5Bx%5D=${form}`)).toMatchObject(empty(400));
  });

  it("may be multipart, and is refused when that is malformed or holds a file", async () => {
    const body = new FormData();
    body.set("data", gateway.form(info()));
    expect(await gateway.fetch({ method: "POST", body })).toMatchObject({ status: 200 });
    const file = new FormData();
    file.set("data", new Blob([gateway.form(info())]), "data");
    expect(await gateway.fetch({ method: "POST", body: file })).toMatchObject(empty(400));
    for (const type of ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=x"]) {
      expect(await gateway.post("--x\r\nnonsense\r\n\r\n", { "content-type": type })).toMatchObject(empty(400));
    }
  });

  it("that is cut off at any byte, or lacks a name, is refused and ends nothing", async () => {
    const part = (head: string, text: string) => `--x\r\nContent-Disposition: form-data${head}\r\n\r\n${text}\r\n`;
    const whole = `${part('; name="f"; filename="a"', "file")}${part('; name="data"', "x")}--x--\r\n`;
    const type = { "content-type": "multipart/form-data; boundary=x" };
    for (let end = 0; end < whole.length - 4; end += 1) {
      expect([400, 403]).toContain((await gateway.post(whole.slice(0, end), type)).status);
    }
    expect(await gateway.post(`${part("", "x")}--x--\r\n`, type)).toMatchObject(empty(400));
    expect(await gateway.knock(info())).toMatchObject({ status: 200 });
  });

  it("is refused beyond 64 KB without being read on", async () => {
    const size = 10_000_000;
    expect(await gateway.post(Buffer.alloc(size, "a"))).toMatchObject({ status: 413 });
    // Without a length, byte after byte.
    const stream = () => new ReadableStream({ pull: (controller) => controller.enqueue(Buffer.alloc(16_384, "a")) });
    const endless = gateway.fetch({
      method: "POST",
      body: stream(),
      duplex: "half",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    } as RequestInit);
    expect(await endless.catch(() => ({ status: 413 }))).toMatchObject({ status: 413 });
  });
});

describe("bad requests of somebody with keys", () => {
  let own: TestGateway;
  beforeEach(async () => {
    own = await TestGateway.start();
    await own.daemon("{}");
    return async () => await own[Symbol.asyncDispose]();
  });

  it("for ports that are not offered reach no daemon", async () => {
    for (const ports of [
      [{ proto: "TCP", num: 23 }],
      [{ proto: "UDP", num: 22 }],
      [{ proto: ["TCP"], num: 22 }],
      [{ proto: "TCP", num: "22abc" }],
      [],
      { a: 1 },
      [null],
    ]) {
      expect((await own.knock(open({ ports }))).payload).toContain('"errorcode":"no_ports"');
    }
    expect(own.link.taken).toEqual([]);
  });

  it("have what is not offered taken out, and no more time than there is", async () => {
    await own.knock(
      open({
        ports: [
          { proto: "TCP", num: 23 },
          { proto: "tcp", num: 22 },
          { proto: "TCP", num: 22 },
        ],
        time: 86_400,
      }),
    );
    expect(own.link.taken).toEqual([
      { ip: "127.0.0.1", ports: [{ proto: "TCP", num: 22 }], time: 600, client: "default" },
    ]);
  });

  it.each([0, -1, 1e300, "60", [60], {}, true])(
    "with the time %j are left to the daemon, which refuses them",
    async (time) => {
      await own.knock(open({ time }));
      expect(own.link.taken).toMatchObject([{ time }]);
    },
  );

  it("with as many ports as fit are answered", async () => {
    const ports = Array.from({ length: 1400 }, (_, index) => ({ proto: "TCP", num: index + 1 }));
    expect((await own.knock(open({ ports }))).status).toBe(200);
    expect(own.link.taken).toMatchObject([{ ports: [{ proto: "TCP", num: 22 }] }]);
  });

  it("with NUL bytes, deep nesting and odd keys harm nobody", async () => {
    for (const more of [
      { ip: "127.0.0.1\0" },
      { api: "openports\0" },
      { ports: "22\0" },
      { ["__proto__"]: { api: "x" } },
      { constructor: 1 },
    ]) {
      expect([200, 403, 405]).toContain((await own.knock(open(more))).status);
    }
    expect(
      await own.knock(
        `{"api":"openports","ip":"127.0.0.1","time":60,"ver":1,"ts":${seconds()},"ports":${"[".repeat(600)}${"]".repeat(600)}}`,
      ),
    ).toMatchObject({ status: 403 });
  });
});

describe("a repeat", () => {
  it("of the same payload gets the first answer again and moves nothing", async () => {
    await using own = await TestGateway.start();
    let count = 0;
    await own.daemon(async () => `{"success":true,"expires":${(count += 1)}}`);
    const payload = open();
    const first = await own.knock(payload);
    // Sealed anew, so every byte of the packet differs; and at the same time.
    const again = await Promise.all([own.knock(payload), own.knock(payload)]);
    expect(again.map((answer) => answer.payload)).toEqual([first.payload, first.payload]);
    expect(count).toBe(1);
    expect((await own.knock(open())).payload).toBe('{"success":true,"expires":2}');
  });

  it("that came twice before the first was answered is asked once", async () => {
    await using own = await TestGateway.start();
    const { promise, resolve } = Promise.withResolvers<string>();
    await own.daemon(() => promise);
    const payload = open();
    const both = [own.knock(payload), own.knock(payload)];
    while (own.link.taken.length === 0) await new Promise((go) => setImmediate(go));
    resolve('{"success":true,"expires":1}');
    expect((await Promise.all(both)).map((answer) => answer.payload)).toEqual([
      '{"success":true,"expires":1}',
      '{"success":true,"expires":1}',
    ]);
    expect(own.link.taken.length).toBe(1);
  });

  it("of an earlier process cannot be: it begins to listen with a full second", async () => {
    const clock = new FakeClock(seconds() * 1000 + 300);
    const starting = TestGateway.start({}, undefined, undefined, clock);
    let started = false;
    void starting.then(() => (started = true));
    while (clock.waiting === 0) await settle();
    await clock.advance(699);
    expect(started).toBe(false);
    await clock.advance(1);
    await using own = await starting;
    await own.daemon('{"success":true,"expires":1}');
    expect(await own.knock(open({ ts: seconds() }))).toMatchObject(empty(403));
    expect(await own.knock(open({ ts: seconds() + 1 }))).toMatchObject({ status: 200 });
  });

  it("from before this process is refused", async () => {
    await using own = await TestGateway.start();
    await own.daemon('{"success":true,"expires":1}');
    expect(await own.knock(open({ ts: seconds() - 5 }))).toMatchObject(empty(403));
    expect(await own.knock(open())).toMatchObject({ status: 200 });
    expect(await own.knock(info({ ts: seconds() - 5 }))).toMatchObject({ status: 200 });
  });
});

describe("behind a proxy", () => {
  const asked = async (own: TestGateway, forwarded?: string) => {
    const answer = await own.knock(info(), forwarded === undefined ? {} : { "x-forwarded-for": forwarded });
    return answer.payload === undefined ? answer.status : (JSON.parse(answer.payload) as { ip: string }).ip;
  };

  it("that is not trusted the header means nothing", async () => {
    expect(await asked(gateway, "192.0.2.1")).toBe("127.0.0.1");
    const { payload } = await gateway.knock(info(), {
      "x-real-ip": "192.0.2.1",
      forwarded: "for=192.0.2.1",
      "client-ip": "192.0.2.1",
    });
    expect(payload).toContain('"ip":"127.0.0.1"');
  });

  it("that is trusted the right-most hop that is not counts", async () => {
    await using own = await TestGateway.start({ trustedProxies: ["127.0.0.0/8", "10.1.0.0/16"] });
    expect(await asked(own, "192.0.2.1")).toBe("192.0.2.1");
    expect(await asked(own, "198.51.100.9, 192.0.2.1, 10.1.2.3")).toBe("192.0.2.1");
    expect(await asked(own, "::ffff:192.0.2.1")).toBe("192.0.2.1");
    expect(await asked(own, "2001:DB8:0:0::7")).toBe("2001:db8::7");
    expect(await asked(own, "198.51.100.9, nonsense, 10.1.2.3")).toBe(403);
    expect(await asked(own, `${"198.51.100.9, ".repeat(800)}192.0.2.1, 10.1.2.3`)).toBe("192.0.2.1");
    expect(await asked(own, `198.51.100.9${", 10.1.2.3".repeat(800)}`)).toBe(403);
    expect(await asked(own, "10.1.2.3")).toBe(403);
    expect(await asked(own)).toBe(403);
  });
});

describe("connections", () => {
  it("that speak no HTTP get a plain 400", async () => {
    const text = await raw("nonsense\r\n\r\n");
    expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(text).not.toContain("Error");
  });

  it("with a target or a Host that is no URL are answered and end nothing", async () => {
    for (const [target, host] of [
      ["http://[", "x"],
      ["http://a:b@:80/", "x"],
      ["http://x:99999/8f3c0c5e", "x"],
      ["http:///", "x"],
      ["/8f3c0c5e", "["],
      ["/8f3c0c5e", "x:y:z"],
      ["/8f3c0c5e", "a b"],
      ["//[::1", "x"],
      ["/%ff", "x"],
    ] as const) {
      expect(
        await raw(`POST ${target} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`),
      ).toMatch(/^HTTP\/1\.1 40[04] /);
    }
    expect(await gateway.knock(info())).toMatchObject({ status: 200 });
  });

  it("that ask for another protocol are plain requests, and do not hold up the end", async () => {
    const own = await TestGateway.start();
    const head = "Host: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n";
    expect(await raw(`POST /8f3c0c5e HTTP/1.1\r\n${head}`, own)).toMatch(/^HTTP\/1\.1 400 /);
    expect(await raw("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", own)).toBe("");
    await own[Symbol.asyncDispose]();
  });

  it("are told nothing of what answers, on any path", async () => {
    for (const head of ["GET /", "POST /8f3c0c5e", "OPTIONS *", "TRACE /", "POST http://x/8f3c0c5e", "GET /%2"]) {
      const text = await raw(`${head} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      expect(text).toMatch(/^HTTP\/1\.1 40[04] /);
      expect(text).not.toMatch(/wkfs|restify|^Server:/im);
    }
  });

  it("on IPv6 are answered", async () => {
    await using own = await TestGateway.start({ listen: "[::1]:0" });
    expect((await own.knock(info())).payload).toContain('"ip":"::1"');
  });
});

describe("key sets", () => {
  it("see their own ports and time", async () => {
    const { mkdtemp, rm, writeFile } = await import("node:fs/promises");
    const { tmpdir } = await import("node:os");
    const { join } = await import("node:path");
    const { keyFile } = await import("./support/gateway.ts");
    const folder = await mkdtemp(join(tmpdir(), "wkfs-keys-"));
    const [ops, db] = [freshKeys(), freshKeys()];
    await writeFile(join(folder, "ops"), keyFile(ops), { mode: 0o600 });
    await writeFile(join(folder, "db"), keyFile(db), { mode: 0o600 });
    const sets = [
      { name: "ops", keys: join(folder, "ops") },
      { name: "db", keys: join(folder, "db"), tcp: [2222], maxTime: 60 },
    ];
    // The holder of the second set.
    await using own = await TestGateway.start({ keys: sets }, db);
    await rm(folder, { recursive: true });
    await own.daemon("{}");
    expect((await own.knock(info())).payload).toBe(
      '{"success":true,"tcp":[2222],"udp":[],"maxtime":60,"ip":"127.0.0.1"}',
    );
    expect((await own.knock(open())).payload).toContain("no_ports");
    await own.knock(
      open({
        ports: [
          { proto: "TCP", num: 22 },
          { proto: "TCP", num: 2222 },
        ],
        time: 600,
      }),
    );
    expect(own.link.taken).toEqual([{ ip: "127.0.0.1", ports: [{ proto: "TCP", num: 2222 }], time: 60, client: "db" }]);
  });
});
