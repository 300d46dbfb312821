import { once } from "node:events";
import { parseAddress } from "@wkfs/core";
import { NetworkNamespace, testContext, whyNoKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { configSchema } from "./config.ts";
import { NftablesFirewall } from "./firewall.ts";
import { hostNftables } from "./host-nftables.ts";

const reason = whyNoKernel("nft");
const because = reason === undefined ? "" : ` (skipped: ${reason})`;
const runner = reason === undefined ? describe : describe.skip;

const SERVER = { ipv4: "10.92.0.1", ipv6: "fd92::1" };
const CLIENT = { ipv4: "10.92.0.2", ipv6: "fd92::2" };
const TCP = { protocol: "tcp", number: 22 } as const;
const UDP = { protocol: "udp", number: 1194 } as const;

/** Answers every line and every datagram. */
const SERVICE = `
const tcp = require("net").createServer((socket) => { socket.on("error", () => {}); socket.on("data", (data) => socket.write(data)); socket.write("hello"); });
const udp = require("dgram").createSocket({ type: "udp6" });
udp.on("message", (data, from) => udp.send(data, from.port, from.address));
tcp.listen(22, "::", () => udp.bind(1194, "::", () => console.log("ready")));`;
/** Says "open" when it is answered, and then whatever it is answered to what it is told. */
const CALLER = (protocol: string, host: string, port: number) =>
  protocol === "tcp"
    ? `const socket = require("net").createConnection(${port}, "${host}");
       socket.on("data", (data) => console.log("open" + data)); process.stdin.on("data", (data) => socket.write(data));`
    : `const socket = require("dgram").createSocket("${host.includes(":") ? "udp6" : "udp4"}");
       socket.on("message", () => console.log("open")); socket.send("ping", ${port}, "${host}");`;

/** A server with services, a firewall on it, a client beside it, and counters before and behind the guard. */
async function site(settings: object = {}) {
  const server = await NetworkNamespace.create();
  const client = await NetworkNamespace.create();
  await server.connect(client, [`${SERVER.ipv4}/24`, `${SERVER.ipv6}/64`], [`${CLIENT.ipv4}/24`, `${CLIENT.ipv6}/64`]);
  const nft = async (...commands: string[]) => await server.run("nft", commands.join("; "));
  const services = server.spawn([process.execPath, "-e", SERVICE], { stdio: ["ignore", "pipe", "inherit"] });
  await once(services.stdout!, "data");
  const context = testContext();
  const make = (more: object = {}) =>
    new NftablesFirewall(
      configSchema.parse({ ...settings, ...more }),
      context,
      hostNftables(context.log, server.prefix),
    );
  const count = async () => {
    await nft(
      "add table inet probe",
      "add chain inet probe before { type filter hook input priority -150; }",
      "add chain inet probe behind { type filter hook input priority 300; }",
      'add rule inet probe before iifname "wire0" th dport { 22, 1194 } counter comment "arrived"',
      'add rule inet probe behind iifname "wire0" th dport { 22, 1194 } counter comment "passed"',
    );
    return async () => {
      const listed = await nft("list table inet probe");
      const packets = (name: string) => Number(new RegExp(`packets (\\d+) .*${name}`).exec(listed)?.[1]);
      return { arrived: packets("arrived"), passed: packets("passed") };
    };
  };
  return {
    make,
    nft,
    server,
    /** Whether what the client sends gets through: "open" when the service answered, "shut" when the packet came and did not pass. */
    async reach(host: string, port: typeof TCP | typeof UDP): Promise<"open" | "shut"> {
      const counters = await count();
      const caller = client.spawn([process.execPath, "-e", CALLER(port.protocol, host, port.number)], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      let answered = false;
      caller.stdout!.once("data", () => {
        answered = true;
      });
      try {
        for (;;) {
          const { arrived, passed } = await counters();
          if (answered) return "open";
          if (arrived > 0 && passed === 0) return "shut";
        }
      } finally {
        await nft("delete table inet probe");
        const gone = once(caller, "exit");
        caller.kill("SIGKILL");
        await gone;
      }
    },
    /** A connection that stays; gives what is answered to a line. */
    async keep(host: string) {
      const caller = client.spawn([process.execPath, "-e", CALLER("tcp", host, 22)], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      await once(caller.stdout!, "data");
      return async (line: string) => {
        const answer = once(caller.stdout!, "data");
        caller.stdin!.write(line);
        return String((await answer)[0]).trim();
      };
    },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

function lease(host: string, port: typeof TCP | typeof UDP, milliseconds = 600_000) {
  return { address: parseAddress(host), port, client: "a", openedAt: 0, deadline: Date.now() + milliseconds };
}
const opening = (...open: ReturnType<typeof lease>[]) => ({ open, close: [], before: [] });

runner(`mode: guard and real packets${because}`, () => {
  it.each(["ipv4", "ipv6"] as const)("opens one port for one address, and shuts it (%s)", async (family) => {
    await using subject = await site();
    const firewall = subject.make();
    const [host, from] = [SERVER[family], CLIENT[family]];
    expect(await subject.reach(host, TCP)).toBe("open");
    await firewall.attach();
    expect(await subject.reach(host, TCP)).toBe("shut");
    expect(await subject.reach(host, UDP)).toBe("shut");
    await firewall.apply(opening(lease(from, TCP)));
    expect(await subject.reach(host, TCP)).toBe("open");
    expect(await subject.reach(host, UDP)).toBe("shut");
    const say = await subject.keep(host);
    await firewall.apply({ open: [lease(from, UDP)], close: [lease(from, TCP)], before: [] });
    expect(await subject.reach(host, TCP)).toBe("shut");
    expect(await subject.reach(host, UDP)).toBe("open");
    // What stands is not cut.
    expect(await say("still there?")).toBe("openstill there?");
    await firewall.detach();
    expect(await subject.reach(host, TCP)).toBe("open");
  });

  it.each(["ipv4", "ipv6"] as const)(
    "counts what a lease lets through, when it is told to, anew after a renewal (%s)",
    async (family) => {
      await using subject = await site();
      const plain = subject.make();
      await plain.attach();
      const one = lease(CLIENT[family], TCP);
      await plain.apply(opening(one, lease(CLIENT[family], UDP)));
      expect((await plain.list()).leases.map(({ counters }) => counters)).toEqual([undefined, undefined]);
      await plain.release();
      // The sets are made anew for it, and keep what they hold.
      const firewall = subject.make({ counters: true });
      await firewall.attach();
      const counted = async () =>
        Object.fromEntries(
          (await firewall.list()).leases.map(({ port, counters }) => [port.protocol, counters?.packets]),
        );
      expect(await counted()).toEqual({ tcp: 0, udp: 0 });
      const say = await subject.keep(SERVER[family]);
      await say("more of the same connection");
      expect(await counted()).toEqual({ tcp: 1, udp: 0 });
      await firewall.apply({ open: [one], close: [], before: [one] });
      expect(await counted()).toEqual({ tcp: 0, udp: 0 });
      expect((await firewall.check()).missing).toEqual([]);
      await firewall.detach();
    },
  );

  it("stops to guard when it was to, though nobody is there, and cuts nothing meanwhile", async () => {
    await using subject = await site();
    const say = await subject.keep(SERVER.ipv4);
    const firewall = subject.make();
    const guardUntil = Date.now() + 3000;
    await firewall.attach({ guardUntil });
    expect(await subject.reach(SERVER.ipv4, TCP)).toBe("shut");
    expect(Date.now()).toBeLessThan(guardUntil);
    await firewall.release();
    expect(await say("still there?")).toBe("openstill there?");
    while ((await subject.reach(SERVER.ipv4, TCP)) === "shut") expect(Date.now()).toBeLessThan(guardUntil + 5000);
    expect(Date.now()).toBeGreaterThanOrEqual(guardUntil);
    await firewall.detach();
  });

  it("is for the address that knocked, and no other", async () => {
    await using subject = await site();
    const firewall = subject.make();
    await firewall.attach();
    await firewall.apply(opening(lease("10.92.0.3", TCP), lease("fd92::3", TCP)));
    expect(await subject.reach(SERVER.ipv4, TCP)).toBe("shut");
    expect(await subject.reach(SERVER.ipv6, TCP)).toBe("shut");
    await firewall.release();
  });

  it("never guards loopback", async () => {
    await using subject = await site();
    const firewall = subject.make();
    await firewall.attach();
    for (const host of ["127.0.0.1", "::1"]) {
      const caller = subject.server.spawn([process.execPath, "-e", CALLER("tcp", host, 22)], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      expect(String((await once(caller.stdout!, "data"))[0])).toBe("openhello\n");
    }
    await firewall.release();
  });

  it("is put right after `nft flush ruleset`", async () => {
    await using subject = await site();
    const firewall = subject.make();
    await firewall.attach();
    await firewall.apply(opening(lease(CLIENT.ipv4, UDP)));
    await subject.nft("flush ruleset");
    expect(await subject.reach(SERVER.ipv4, TCP)).toBe("open");
    expect((await firewall.check()).missing).toEqual(["the table inet wkfs is gone"]);
    await firewall.attach();
    await firewall.apply(opening(lease(CLIENT.ipv4, UDP)));
    expect(await subject.reach(SERVER.ipv4, TCP)).toBe("shut");
    expect(await subject.reach(SERVER.ipv4, UDP)).toBe("open");
    await firewall.release();
  });

  it("stays open while it is renewed, always for the same time, and shuts when it is not", async () => {
    await using subject = await site();
    const firewall = subject.make();
    await firewall.attach();
    const time = 2000;
    const started = performance.now();
    for (let renewed = 0; renewed < 20 || performance.now() - started < 2 * time; renewed += 1) {
      await firewall.apply(opening(lease(CLIENT.ipv4, TCP, time)));
      expect(await subject.reach(SERVER.ipv4, TCP)).toBe("open");
    }
    while ((await subject.reach(SERVER.ipv4, TCP)) === "open");
    expect((await firewall.list()).leases).toEqual([]);
    await firewall.release();
  });
});

runner(`mode: allow and real packets${because}`, () => {
  it.each(["ipv4", "ipv6"] as const)("opens what the administrator's chain drops (%s)", async (family) => {
    await using subject = await site({ mode: "allow", takeOut: ["tcp dport 22 accept"] });
    await subject.nft(
      "add table inet filter",
      "add chain inet filter input { type filter hook input priority 0; policy drop; }",
      'add rule inet filter input iifname "lo" accept',
      "add rule inet filter input ct state established,related accept",
      "add rule inet filter input meta l4proto { icmp, icmpv6 } accept",
      "add rule inet filter input tcp dport 22 accept",
    );
    const firewall = subject.make();
    const [host, from] = [SERVER[family], CLIENT[family]];
    expect(await subject.reach(host, TCP)).toBe("open");
    await firewall.attach();
    expect(await subject.reach(host, TCP)).toBe("shut");
    expect(await subject.reach(host, UDP)).toBe("shut");
    await firewall.apply(opening(lease(from, TCP), lease(from, UDP)));
    expect(await subject.reach(host, TCP)).toBe("open");
    expect(await subject.reach(host, UDP)).toBe("open");
    await firewall.apply({ open: [], close: [lease(from, TCP), lease(from, UDP)], before: [] });
    expect(await subject.reach(host, TCP)).toBe("shut");
    await firewall.release();
    expect(await subject.reach(host, TCP)).toBe("open");
    await firewall.detach();
    expect(await subject.reach(host, UDP)).toBe("shut");
  });
});
