import { getEventListeners, on, once } from "node:events";
import type { WkfsEvent } from "@wkfs/core";
import { checkServerConfig } from "@wkfs/core/config";
import { type Daemon, type Status, createDaemon } from "@wkfs/core/daemon";
import { MemoryFirewall, settle } from "@wkfs/core/testing";
import { expect, expectTypeOf, it } from "vitest";
import { TestDaemon } from "./support/daemon.ts";

it("tells each event by its type, all of them, and each step of its life", async () => {
  const own = await TestDaemon.create();
  const told: string[] = [];
  const steps: Status[] = [];
  own.daemon.on("event", ({ type }) => told.push(type));
  own.daemon.on("status", (status) => steps.push(status));
  own.daemon.on("opened", ({ leases }) => told.push(`${leases[0]!.address.text} ${leases[0]!.port.number}`));
  own.daemon.on("refused", ({ reason, client }) => {
    expectTypeOf(client).toEqualTypeOf<string | undefined>();
    told.push(reason);
  });
  await own.daemon.start();
  await own.ask();
  await own.advance(1000);
  await own.ask({ ports: [{ proto: "TCP", num: 9 }] });
  own.firewalls[0]!.missing = ["the jump"];
  await own.advance(2000);
  await own.ask();
  await own.advance(60_000);
  await own.daemon.stop();
  const expected = [
    "started",
    "10.91.0.2 22",
    "opened",
    "no_ports",
    "refused",
    "healed",
    "renewed",
    "expired",
    "stopped",
  ];
  expect(told).toEqual(expected);
  expect(steps).toEqual(["starting", "running", "stopping", "stopped"]);
  // Whatever the history has, and in its order.
  expect(told.filter((word) => own.history().includes(word))).toEqual(own.history());
});

it("tells of what the store refused to keep", async () => {
  await using own = await TestDaemon.start();
  const failed = once(own.daemon, "failed");
  own.firewalls[0]!.check = () => Promise.reject(new Error("the kernel is out"));
  own.store.onWrite = () => {
    throw new Error("the disk is full");
  };
  await own.advance(2000);
  expect((await failed)[0]).toMatchObject({ type: "failed", firewall: "fake1" });
  own.store.onWrite = () => {};
});

it("is an emitter that can be waited for and iterated over, with types", async () => {
  await using own = await TestDaemon.start();
  const stop = new AbortController();
  const ports = (async () => {
    const seen: number[] = [];
    for await (const [event] of on(own.daemon, "opened", { signal: stop.signal }) as AsyncIterable<[WkfsEvent]>) {
      if (event.type === "opened") seen.push(event.leases[0]!.port.number);
      if (seen.length === 2) return seen;
    }
    return seen;
  })();
  await own.ask();
  await own.ask({ ports: [{ proto: "TCP", num: 5432 }] });
  expect(await ports).toEqual([22, 5432]);
  // @ts-expect-error: there is no such event
  own.daemon.on("opend", () => {});
});

it("is not disturbed by a listener that throws, nor are other listeners", async () => {
  await using own = await TestDaemon.start();
  const uncaught = Promise.withResolvers<unknown>();
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.once("uncaughtException", uncaught.resolve);
  try {
    const heard = Promise.withResolvers<string>();
    own.daemon.once("opened", () => {
      throw new Error("a fault of the program");
    });
    own.daemon.on("opened", ({ type }) => heard.resolve(type));
    expect(await own.ask()).toMatchObject({ success: true });
    expect(await heard.promise).toBe("opened");
    expect(await uncaught.promise).toMatchObject({ message: "a fault of the program" });
    expect(own.daemon.listenerCount("opened")).toBe(1);
  } finally {
    for (const other of others) process.on("uncaughtException", other);
  }
});

async function daemonOf(signal: AbortSignal): Promise<Daemon> {
  const own = await TestDaemon.create({ signal });
  return own.daemon;
}

it("ends with its signal, also when nobody waits for it, and leaves the signal alone then", async () => {
  const stop = new AbortController();
  const daemon = await daemonOf(stop.signal);
  await daemon.start();
  stop.abort();
  expect(daemon.status).toBe("stopping");
  await daemon.stopped;
  expect(daemon.status).toBe("stopped");

  const late = new AbortController();
  await (await daemonOf(late.signal)).stop();
  expect(getEventListeners(late.signal, "abort")).toEqual([]);

  const early = new AbortController();
  const unstarted = await daemonOf(early.signal);
  early.abort();
  await unstarted.stopped;
  await expect(unstarted.start()).rejects.toMatchObject({ code: "STATE_INVALID" });

  const config = await checkServerConfig({ protect: { tcp: [22] } });
  await expect(createDaemon({ config, plugins: [], signal: early.signal })).rejects.toBe(early.signal.reason);
});

it("says what its end failed with to whoever asks, and to nobody else", async () => {
  const firewall = new MemoryFirewall({ clock: { now: Date.now, steady: Date.now, setTimer: () => () => {} } });
  firewall.release = () => Promise.reject(new Error("no"));
  const stop = new AbortController();
  const own = await TestDaemon.start({ firewalls: [firewall], signal: stop.signal });
  stop.abort();
  await expect(own.daemon.stopped).rejects.toBeInstanceOf(AggregateError);
  await expect(own.daemon.stop()).rejects.toBeInstanceOf(AggregateError);
  await settle();
});

it("ends with its scope, and with a start that fails", async () => {
  let daemon: Daemon;
  {
    await using own = await TestDaemon.start();
    daemon = own.daemon;
  }
  expect(daemon.status).toBe("stopped");
  await daemon.stopped;

  const store = (await TestDaemon.create()).store;
  store.open = () => Promise.reject(new Error("no"));
  const failing = await TestDaemon.create({ store });
  await expect(failing.daemon.start()).rejects.toThrow("no");
  await failing.daemon.stopped;
});
