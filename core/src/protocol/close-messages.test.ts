import { describe, expect, it } from "vitest";
import {
  closeGrant,
  closeRequest,
  closedReply,
  knowsNoClose,
  readCloseRequest,
  readClosedReply,
} from "./close-messages.ts";
import { readGrantRequest, readRequest } from "./messages.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const tcp = (number: number) => ({ protocol: "tcp", number }) as const;
const wire = (num: number) => ({ proto: "TCP", num });

describe("a request to close", () => {
  it("says whose ports and which, and is never twice the same", () => {
    const read = (payload: Uint8Array) => readRequest(payload, 1000);
    expect(read(closeRequest(1000, "192.0.2.7", [tcp(22)]))).toEqual({
      kind: "closeports",
      ts: 1000,
      ip: "192.0.2.7",
      ports: [wire(22)],
    });
    expect(read(closeRequest(1000, "192.0.2.7", undefined))).toMatchObject({ kind: "closeports", ports: undefined });
    const texts = [1, 2].map(() => new TextDecoder().decode(closeRequest(1000, "192.0.2.7", undefined)));
    expect(texts[0]).not.toBe(texts[1]);
  });

  it("gets to the daemon with nothing by which another daemon would open", () => {
    const grant = closeGrant("192.0.2.7", [wire(22), wire(22), { proto: "ICMP", num: 1 }], "ops")!;
    const sent = JSON.parse(JSON.stringify(grant)) as object;
    expect(sent).toEqual({ ip: "192.0.2.7", client: "ops", close: { ports: [wire(22)] } });
    // What a daemon that passes `close` over makes of it: PHP's checks ip, ports and time in this order.
    expect(readGrantRequest({ ...grant, close: undefined })).toBe("missing_ports");
    expect(closeGrant("192.0.2.7", null, "ops")).toMatchObject({ close: {} });
    expect(closeGrant("192.0.2.7", "all", "ops")).toBeUndefined();
    expect(
      closeGrant(
        "192.0.2.7",
        Array.from({ length: 1025 }, () => wire(22)),
        "ops",
      ),
    ).toBeUndefined();
  });

  const good = { ip: "192.0.2.7", ports: undefined, time: undefined, client: "ops" };
  it("is read by the daemon, which trusts none of it", () => {
    expect(readCloseRequest({ ...good, close: {} })).toMatchObject({
      address: { text: "192.0.2.7" },
      ports: undefined,
      client: "ops",
    });
    expect(readCloseRequest({ ...good, close: { ports: [wire(22), wire(70_000)] } })).toMatchObject({
      ports: [tcp(22)],
    });
    expect(readCloseRequest({ ...good, client: "a".repeat(65), close: {} })).toMatchObject({ client: undefined });
  });
  it.each([
    [{ ip: 7, close: {} }, "missing_ip"],
    [{ ip: "192.0.2", close: {} }, "invalid_ip"],
    [{ close: null }, "invalid_close"],
    [{ close: true }, "invalid_close"],
    [{ close: { ports: "all" } }, "invalid_close"],
    [{ close: { ports: Array.from({ length: 1025 }, () => 0) } }, "too_many_ports"],
  ])("that makes no sense is refused: %j", (more, code) => {
    expect(readCloseRequest({ ...good, ...more })).toBe(code);
  });
});

describe("the answer", () => {
  it("lists what was closed", () => {
    expect(readClosedReply(bytes(closedReply([tcp(22)])))).toEqual([tcp(22)]);
    expect(readClosedReply(bytes(closedReply([])))).toEqual([]);
  });
  it.each(['{"success":true}', '{"success":true,"closed":[7]}', '{"success":false,"errorcode":"close_failed"}', ""])(
    "that makes no sense, or is no, is an error: %j",
    (text) => {
      expect(() => readClosedReply(bytes(text))).toThrow(expect.objectContaining({ code: "KNOCK_REFUSED" }));
    },
  );
  it("of a daemon that knows no closing is told from others", () => {
    expect(knowsNoClose('{"success":false,"error":"Missing \'ports\'.","0":"missing_ports"}')).toBe(true);
    expect(knowsNoClose('{"success":false,"error":"Missing \'ports\'.","errorcode":"missing_ports"}')).toBe(true);
    for (const other of [closedReply([]), '{"success":false,"errorcode":"close_failed"}', "null", "hello", ""])
      expect(knowsNoClose(other)).toBe(false);
  });
});
