import { writeFile } from "node:fs/promises";
import { WkfsError } from "@wkfs/core";
import { type Client, createClient } from "@wkfs/core/client";
import { loadClientConfig } from "@wkfs/core/config";
import { FakeClock, MemoryFirewall } from "@wkfs/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeFormField } from "../core/src/protocol/v1.ts";
import { TestDaemon, type TestDaemonOptions } from "./support/daemon.ts";
import { Scratch } from "./support/files.ts";
import { TestGateway, freshKeys, keyFile, seconds } from "./support/gateway.ts";

const HERE = "127.0.0.1";
const keys = freshKeys();
let scratch: Scratch;
let clock: FakeClock;
beforeEach(async () => {
  scratch = await Scratch.create();
  clock = new FakeClock(seconds() * 1000);
});
afterEach(async () => await scratch[Symbol.asyncDispose]());

/** A gateway with a daemon of ours behind it, and a client of theirs. */
async function site(options: TestDaemonOptions = {}) {
  const gateway = await TestGateway.start({}, keys, { tcp: [22, 5432], udp: [1194], maxTime: 600 }, clock);
  const daemon = await TestDaemon.start({ clock, ...options });
  // The members of a request that `ask` adds are those that a request to close must not have.
  await gateway.daemon(async (request) =>
    JSON.stringify(await daemon.ask({ ports: undefined, time: undefined, ...(request as object) })),
  );
  return {
    gateway,
    daemon,
    client: await clientOf(gateway.url),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await daemon[Symbol.asyncDispose]();
    },
  };
}

async function clientOf(url: string): Promise<Client> {
  await writeFile(scratch.path("v1.json"), keyFile(keys), { mode: 0o600 });
  await writeFile(scratch.path("client.yaml"), JSON.stringify({ url, keys: "v1.json" }));
  return await createClient({ config: await loadClientConfig(scratch.path("client.yaml")), clock });
}

const open = (num = 22) => ({ proto: "TCP", num });

describe("closeports", () => {
  it("closes what is named, or all that the client has open, and says what it was", async () => {
    await using own = await site();
    await own.client.knock();
    expect(await own.client.closePorts({ tcp: [22, 23], udp: [] })).toEqual({
      ip: HERE,
      closed: [{ protocol: "tcp", number: 22 }],
    });
    expect(await own.daemon.kernel()).toEqual([`${HERE} tcp/5432`, `${HERE} udp/1194`]);
    expect((await own.client.closePorts()).closed).toHaveLength(2);
    expect(await own.daemon.kernel()).toEqual([]);
    expect(own.daemon.daemon.leases.size).toBe(0);
    expect((await own.client.closePorts()).closed).toEqual([]);
    expect(own.daemon.store.historyOnDisk.filter(({ type }) => type === "closed")).toMatchObject([
      { by: "default", leases: [{ port: { number: 22 } }] },
      { by: "default", leases: [{ port: { number: 5432 } }, { port: { number: 1194 } }] },
    ]);
    expect(await own.daemon.store.leases()).toEqual([]);
  });

  it("that was overheard closes nothing of what was opened after it", async () => {
    await using own = await site();
    const request = { api: "closeports", ip: HERE, ver: 1, ts: seconds(), nonce: "n" };
    await own.client.knock({ ports: { tcp: [22], udp: [] } });
    const first = await own.gateway.knock(request);
    expect(JSON.parse(first.payload!)).toEqual({ success: true, closed: [open()] });
    await own.client.knock({ ports: { tcp: [22], udp: [] } });
    // The same payload in another packet, as everybody can make one of a packet that he has seen.
    expect((await own.gateway.knock(request)).payload).toBe(first.payload);
    expect(await own.daemon.kernel()).toEqual([`${HERE} tcp/22`]);
  });

  it("closes nothing of another client and nothing of another address", async () => {
    const sets = ["ops", "dev"].map((name) => ({ name, keys: scratch.path(`${name}.json`) }));
    await using daemon = await TestDaemon.start({ clock, gateway: { path: "/x", keys: sets } });
    const ask = (request: object) => daemon.ask({ ip: HERE, ports: undefined, time: undefined, ...request });
    const grant = { ports: [open()], time: 60 };
    await ask({ ...grant, client: "ops" });
    await ask({ ...grant, ip: "192.0.2.9", client: "dev" });
    expect(await ask({ client: "dev", close: {} })).toEqual({ success: true, closed: [] });
    expect(await ask({ client: "dev", close: { ports: [open()] } })).toEqual({ success: true, closed: [] });
    expect(await ask({ client: "@hand", close: {} })).toMatchObject({ errorcode: "unknown_client" });
    expect(await ask({ close: {} })).toMatchObject({ errorcode: "unknown_client" });
    expect(await daemon.kernel()).toEqual([`${HERE} tcp/22`, "192.0.2.9 tcp/22"]);
    // Who renewed it last has it.
    await ask({ ...grant, client: "dev" });
    expect(await ask({ client: "ops", close: {} })).toEqual({ success: true, closed: [] });
    expect(await ask({ client: "dev", close: {} })).toEqual({ success: true, closed: [open()] });
    expect(await daemon.kernel()).toEqual(["192.0.2.9 tcp/22"]);
  });

  it("counts as a knock, and never opens whatever else it has", async () => {
    await using daemon = await TestDaemon.start({ clock, limits: { knocksPerSecond: 2 } });
    for (const close of [null, true, { ports: 7 }])
      expect(await daemon.ask({ close })).toMatchObject({ errorcode: "invalid_close" });
    expect(await daemon.ask({ close: {} })).toEqual({ success: true, closed: [] });
    expect(await daemon.ask({ close: {} })).toEqual({ success: true, closed: [] });
    expect(await daemon.ask({ close: {} })).toMatchObject({ errorcode: "too_many_knocks" });
    expect(await daemon.ask({ close: {} })).toMatchObject({ errorcode: "too_many_knocks" });
    expect(daemon.log.filter(({ data }) => "reason" in data && data["reason"] === "too_many_knocks")).toHaveLength(1);
    expect(await daemon.kernel()).toEqual([]);
  });

  it("says so when the packet filter does not close, and the daemon goes on trying", async () => {
    const firewall = new MemoryFirewall({ clock });
    await using own = await site({ firewalls: [firewall] });
    await own.client.knock();
    firewall.onApply = () => {
      throw new WkfsError("FIREWALL_FAILED", "the kernel says no");
    };
    await expect(own.client.closePorts()).rejects.toMatchObject({
      code: "KNOCK_REFUSED",
      message: expect.stringContaining("close_failed"),
    });
    firewall.onApply = () => {};
    await own.daemon.advance(2000);
    expect(await own.daemon.kernel()).toEqual([]);
  });
});

describe("the gateway, asked to close,", () => {
  it("takes it as it takes a knock: for the address that it comes from, of now, and once", async () => {
    await using gateway = await TestGateway.start({}, keys);
    await gateway.daemon('{"success":true,"closed":[]}');
    const close = (more: object = {}) => ({ api: "closeports", ip: HERE, ver: 1, ts: seconds(), ...more });
    for (const wrong of [{ ip: "127.0.0.2" }, { ip: null }, { ports: "all" }, { ts: seconds() - 1 }])
      expect(await gateway.knock(close(wrong))).toMatchObject({ status: 403 });
    expect(gateway.link.taken).toEqual([]);
    const [first, second] = [await gateway.knock(close()), await gateway.knock(close())];
    expect(first).toMatchObject({ status: 200, payload: '{"success":true,"closed":[]}' });
    expect(second.payload).toBe(first.payload);
    expect(gateway.link.taken).toEqual([{ ip: HERE, client: "default", close: {} }]);
  });

  it("gives 504 without a daemon, and what PHP's front end gives when the daemon knows no closing", async () => {
    await using gateway = await TestGateway.start({}, keys, undefined, clock);
    const client = await clientOf(gateway.url);
    await expect(client.closePorts()).rejects.toMatchObject({ code: "SERVER_UNREACHABLE" });
    await gateway.daemon('{"success":false,"error":"Missing \'ports\'.","0":"missing_ports"}');
    await expect(client.closePorts()).rejects.toMatchObject({
      code: "CLOSE_UNSUPPORTED",
      hint: expect.stringContaining("600 s"),
    });
    const field = encodeFormField(
      gateway.codec.seal(Buffer.from(JSON.stringify({ api: "closeports", ip: HERE, ver: 1, ts: seconds(), n: 1 }))),
    );
    const answer = await gateway.post(`data=${field}`);
    expect({ ...answer, body: answer.body.toString() }).toMatchObject({ status: 405, body: "Unknown 'api' option." });
  });
});
