import { describe, expect, it } from "vitest";
import { openTransport } from "../testing/peers.ts";
import { configSchema } from "./config.ts";
import plugin from "./index.ts";

const least = { secret: "/etc/wkfs/transport.secret" };
const hostOf = (host: string) => configSchema.safeParse({ ...least, host }).data?.host;

describe("the configuration", () => {
  it("has the PHP program's address and bounded limits where nothing is said", () => {
    expect(configSchema.parse(least)).toEqual({
      secret: "/etc/wkfs/transport.secret",
      host: "127.0.0.1",
      port: 33_491,
      maxConnections: 256,
      maxMessage: 65_536,
      connectTimeout: 3,
      replyTimeout: 60,
      idleTimeout: 30,
    });
  });

  it("takes loopback addresses only, in any usual notation", () => {
    const taken = { "127.0.0.1": "127.0.0.1", "127.8.9.10": "127.8.9.10", "::1": "::1", "[::1]": "::1" };
    for (const [host, canonical] of Object.entries({ ...taken, "0:0::0:1": "::1" }))
      expect(hostOf(host)).toBe(canonical);
    const refused = [
      "0.0.0.0",
      "192.0.2.1",
      "::",
      "fd00::1",
      "localhost",
      "127.1",
      "0177.0.0.1",
      "[127.0.0.1]",
      "[::1",
      "",
    ];
    for (const host of [...refused, "::1%lo", "128.0.0.1", "127.0.0.1.example.org"])
      expect(hostOf(host)).toBeUndefined();
  });

  it("refuses unknown keys, a missing secret, and limits out of bounds", () => {
    const wrong = [
      { prot: 1 },
      { secret: undefined },
      { secret: "" },
      { port: 0 },
      { port: 65_536 },
      { port: "33491" },
      { maxConnections: 0 },
      { maxConnections: 1e9 },
      { maxMessage: 10 },
      { maxMessage: 1e9 },
      { connectTimeout: 0 },
      { connectTimeout: 4 },
      { replyTimeout: 61 },
      { idleTimeout: Number.POSITIVE_INFINITY },
    ];
    expect(wrong.filter((part) => configSchema.safeParse({ ...least, ...part }).success)).toEqual([]);
  });
});

describe("the plugin", () => {
  it("is a transport of its package's name", () => {
    expect(plugin).toMatchObject({ name: "localhost-tcp", kind: "transport", apiVersion: 1 });
  });

  it("refuses a secret that can be guessed, or would not fit a request", async () => {
    await expect(openTransport({}, { secret: "x".repeat(15) })).rejects.toMatchObject({ code: "SECRET_INVALID" });
    await expect(openTransport({}, { secret: "x".repeat(513) })).rejects.toMatchObject({ code: "SECRET_INVALID" });
    await using transport = await openTransport({}, { secret: "x".repeat(16) });
    expect(transport.addresses).toEqual(["127.0.0.1:0"]);
  });

  it("writes an IPv6 address in brackets", async () => {
    await using transport = await openTransport({ host: "::1", port: 33_491 });
    expect(transport.addresses).toEqual(["[::1]:33491"]);
  });
});
