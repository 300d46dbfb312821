import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  errorReply,
  infoReply,
  infoRequest,
  openRequest,
  outcomeReply,
  phpInteger,
  readGrantRequest,
  readInfoReply,
  readOpenReply,
  readRequest,
} from "./messages.ts";
import { parseAddress } from "../model/address.ts";

const NOW = 1_795_347_998;
const bytes = (value: unknown) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
const kind = (value: unknown) => readRequest(bytes(value), NOW).kind;

describe("readRequest", () => {
  const good = { api: "getinfo", ver: 1, ts: NOW };

  it.each<[string, unknown]>([
    ["text", "getinfo"],
    ["a number", "1"],
    ["null", "null"],
    ["an empty list", "[]"],
    ["a byte order mark", "\uFEFF" + JSON.stringify(good)],
    ["nesting beyond 512", `{"api":"getinfo","ver":1,"ts":${NOW},"x":${"[".repeat(512)}${"]".repeat(512)}}`],
    ["no version", { ...good, ver: undefined }],
    ["version null", { ...good, ver: null }],
    ["no time", { ...good, ts: null }],
    ["no api", { ...good, api: null }],
    ["16 seconds ago", { ...good, ts: NOW - 16 }],
    ["16 seconds ahead", { ...good, ts: NOW + 16 }],
    ["time 1e300", { ...good, ts: 1e300 }],
    ["time a list", { ...good, ts: [NOW] }],
  ])("rejects %s", (_, value) => expect(kind(value)).toBe("rejected"));

  it("rejects what is not UTF-8", () => {
    const text = Buffer.concat([bytes('{"api":"getinfo","ver":1,"x":"'), Buffer.from([0xff]), bytes(`","ts":${NOW}}`)]);
    expect(readRequest(text, NOW).kind).toBe("rejected");
  });

  it.each<[string, unknown]>([
    ["15 seconds ago", { ...good, ts: NOW - 15 }],
    ["15 seconds ahead", { ...good, ts: NOW + 15 }],
    ["a text for the time", { ...good, ts: `${NOW}` }],
    ["a fraction for the time", { ...good, ts: NOW + 0.9 }],
    ["version '1abc'", { ...good, ver: "1abc" }],
    ["version 1.9", { ...good, ver: 1.9 }],
    ["version true", { ...good, ver: true }],
    ["version [9]", { ...good, ver: [9] }],
    ["nesting of 512", `{"api":"getinfo","ver":1,"ts":${NOW},"x":${"[".repeat(511)}${"]".repeat(511)}}`],
    ["brackets in a text", { ...good, x: '["\\'.repeat(2000) }],
    ["the last of two equal keys", `{"api":"x","ver":1,"ts":${NOW},"api":"getinfo"}`],
  ])("takes %s as PHP does", (_, value) => expect(kind(value)).toBe("getinfo"));

  it.each(["1x", 2, 0, "x", [], {}, false, 1e300])("says wrong version for %j, before it looks at the api", (ver) => {
    const expected = ver === "1x" ? "unknown-api" : "wrong-version";
    expect(kind({ api: "nonsense", ver, ts: NOW })).toBe(expected);
  });

  it("tells apis apart by case", () => expect(kind({ ...good, api: "GetInfo" })).toBe("unknown-api"));

  it("never throws", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(bytes)), (payload) => void readRequest(payload, NOW)),
    );
  });
});

describe("phpInteger", () => {
  it.each<[unknown, number]>([
    ["1abc", 1],
    [" 12", 12],
    ["1e3", 1000],
    ["x", 0],
    ["", 0],
    [1.9, 1],
    [-1.9, -1],
    [true, 1],
    [false, 0],
    [null, 0],
    [[], 0],
    [[9], 1],
    [{}, 0],
    [1e300, 0],
    [Number.NaN, 0],
    ["1e400", 0],
  ])("of %j is %d", (value, expected) => expect(phpInteger(value)).toBe(expected));
});

describe("readGrantRequest", () => {
  const good = { ip: "10.91.0.2", ports: [{ proto: "TCP", num: 22 }], time: 60 };
  const tcp = (number: number) => ({ protocol: "tcp", number });

  it("reads what clients send", () => {
    expect(readGrantRequest({ ...good, client: "ops" })).toEqual({
      address: { family: "ipv4", text: "10.91.0.2", length: 32 },
      ports: [tcp(22)],
      duration: 60_000,
      client: "ops",
    });
    expect(readGrantRequest({ ...good, time: 6.9 })).toMatchObject({ duration: 6000 });
    expect(readGrantRequest({ ...good, ports: { a: { proto: "udp", num: 53 } } })).toMatchObject({
      ports: [{ protocol: "udp", number: 53 }],
    });
    expect(readGrantRequest({ ...good, ip: "::ffff:10.91.0.2" })).toMatchObject({
      address: { family: "ipv4", text: "10.91.0.2" },
    });
  });

  it.each<[unknown, string]>([
    [undefined, "missing_ip"],
    [null, "missing_ip"],
    [["10.0.0.1"], "missing_ip"],
    ["10.0.0.1/8", "invalid_ip"],
    ["", "invalid_ip"],
    ["10.0.0.1\0", "invalid_ip"],
    ["10.0.0.1 -j ACCEPT", "invalid_ip"],
    ["0.0.0.0", "invalid_ip"],
    ["::", "invalid_ip"],
    ["ff02::1", "invalid_ip"],
    ["0x0a.1", "invalid_ip"],
    ["012.0.0.1", "invalid_ip"],
  ])("refuses the address %j", (ip, code) => expect(readGrantRequest({ ...good, ip })).toBe(code));

  it.each([undefined, null, "22", 22, true])("refuses the ports %j", (ports) =>
    expect(readGrantRequest({ ...good, ports })).toBe("missing_ports"),
  );

  it.each([0, -1, 0.9, 1e300, "60", "60abc", null, undefined, true, [60], {}])("refuses the time %j", (time) =>
    expect(readGrantRequest({ ...good, time })).toBe("missing_time"),
  );

  it.each([
    { proto: "TCP", num: "22abc" },
    { proto: "TCP", num: "22" },
    { proto: "TCP", num: 22.5 },
    { proto: "TCP", num: 0 },
    { proto: "TCP", num: 65_536 },
    { proto: "TCP", num: -22 },
    { proto: "TCP", num: [22] },
    { proto: ["TCP"], num: 22 },
    { proto: "TCP\0", num: 22 },
    { num: 22 },
    { proto: "TCP" },
    null,
    22,
    "TCP/22",
    [[]],
  ])("drops the port %j", (port) => expect(readGrantRequest({ ...good, ports: [port] })).toMatchObject({ ports: [] }));

  it("takes no name that is longer than names are", () => {
    expect(readGrantRequest({ ...good, client: "a".repeat(65) })).toMatchObject({ client: undefined });
  });

  it("takes a port that is named twice once, and refuses a million", () => {
    const port = { proto: "TCP", num: 22 };
    expect(readGrantRequest({ ...good, ports: [port, port] })).toMatchObject({ ports: [tcp(22)] });
    expect(readGrantRequest({ ...good, ports: Array.from({ length: 1_000_000 }, () => port) })).toBe("too_many_ports");
  });

  it("never throws and never names a port that is none", () => {
    fc.assert(
      fc.property(
        fc.record({
          ip: fc.oneof(fc.anything(), fc.ipV4(), fc.ipV6()),
          ports: fc.anything(),
          time: fc.anything(),
          client: fc.anything(),
        }),
        (request) => {
          const knock = readGrantRequest(request);
          if (typeof knock === "string") return;
          expect(knock.duration).toBeGreaterThanOrEqual(1000);
          for (const port of knock.ports) expect(port.number >= 1 && port.number <= 65_535).toBe(true);
        },
      ),
    );
  });
});

describe("texts on the wire", () => {
  it("are the PHP program's", () => {
    expect(infoReply({ tcp: [22, 2222], udp: [1194], maxTime: 600, ip: "10.91.0.2" })).toBe(
      '{"success":true,"tcp":[22,2222],"udp":[1194],"maxtime":600,"ip":"10.91.0.2"}',
    );
    expect(Buffer.from(infoRequest(NOW)).toString()).toBe(`{"api":"getinfo","ver":1,"ts":${NOW}}`);
    const ports = [
      { protocol: "tcp", number: 2222 },
      { protocol: "udp", number: 1194 },
    ] as const;
    expect(Buffer.from(openRequest(NOW, "10.91.0.2", ports, 60, "n1")).toString()).toBe(
      `{"api":"openports","ip":"10.91.0.2","ports":[{"proto":"TCP","num":2222},{"proto":"UDP","num":1194}],"time":60,"ver":1,"ts":${NOW},"nonce":"n1"}`,
    );
    expect(errorReply("missing_time")).toBe(
      '{"success":false,"error":"Missing or invalid \'time\'.","errorcode":"missing_time"}',
    );
  });

  it("say what was opened, until the first of it shuts", () => {
    const lease = (number: number, deadline: number) =>
      ({
        address: parseAddress("10.0.0.2"),
        port: { protocol: "tcp", number },
        client: "a",
        openedAt: 0,
        deadline,
      }) as const;
    const reply = outcomeReply({
      opened: [lease(22, 9_900)],
      renewed: [lease(80, 5_999)],
      refused: [{ protocol: "udp", number: 53 }],
    });
    expect(JSON.parse(reply)).toEqual({
      success: true,
      expires: 5,
      opened: [
        { proto: "TCP", num: 22 },
        { proto: "TCP", num: 80 },
      ],
      refused: [{ proto: "UDP", num: 53 }],
    });
    expect(readOpenReply(bytes(reply))).toEqual({
      expires: 5,
      opened: [
        { protocol: "tcp", number: 22 },
        { protocol: "tcp", number: 80 },
      ],
    });
  });

  it.each<[string, unknown]>([
    ["nothing", ""],
    ["text", "hello"],
    ["PHP's error", '{"success":false,"error":"Missing \'ip\'.","0":"missing_ip"}'],
    ["ours", errorReply("no_ports")],
    ["no deadline", { success: true }],
    ["a bad list", { success: true, expires: 1, opened: [1] }],
  ])("are refused by the client when they are %s", (_, value) =>
    expect(() => readOpenReply(bytes(value))).toThrow(expect.objectContaining({ code: "KNOCK_REFUSED" })),
  );

  it("carry PHP's code to the client", () => {
    expect(() => readOpenReply(bytes('{"success":false,"error":"Missing \'ip\'.","0":"missing_ip"}'))).toThrow(
      "Missing 'ip'. (missing_ip)",
    );
    expect(() => readInfoReply(bytes({ success: false, error: "a\u001b[31m" }))).toThrow("a [31m (refused)");
  });
});
