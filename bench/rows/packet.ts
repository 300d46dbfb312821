import { fileURLToPath } from "node:url";
import type { NetworkNamespace } from "@wkfs/core/testing";
import type { Bench, Family } from "../bench.ts";
import type { FloodRequest } from "../load/flood.ts";
import type { SinkRequest } from "../load/sink.ts";
import type { Side } from "../measure.ts";
import { timesAtMost } from "../row.ts";
import { type FirewallName, Site, UDP_PORT } from "../site.ts";
import { type Hosts, SERVER, type Stage, clientAddress } from "../stage.ts";
import { Crowd } from "./crowd.ts";
import { NaiveRules } from "./naive-rules.ts";

const module = (name: string) => fileURLToPath(new URL(`../load/${name}.ts`, import.meta.url));
/** A client that never has a lease. */
const STRANGER = clientAddress(4_000_000);

/**
 * What a packet costs that no lease lets through, from the sender's system call through the cable and the packet filter
 * of the server until it is dropped. With an empty chain that is all the rest of the way. A guard must look at the state of
 * connections, so the second reference is an empty chain on a host that tracks them.
 */
export const packet: Family = {
  name: "packet",
  async measure(bench) {
    for (const firewall of bench.firewalls) {
      if (bench.wants(`packet/${firewall}`)) await measureFirewall(bench, firewall);
    }
  },
};

async function measureFirewall(bench: Bench, firewall: FirewallName): Promise<void> {
  const { stage, scale } = bench;
  const levels = scale.quick ? [0, 10_000] : [0, 1000, 10_000, 100_000];
  const packets = scale.quick ? 20_000 : 100_000;
  const flood = async (hosts: Hosts): Promise<Side> => {
    const sink = await stage.start([process.execPath, module("sink")], { host: hosts.server });
    await sink.ask({ port: UDP_PORT } satisfies SinkRequest);
    const sender = await stage.start([process.execPath, module("flood")], { host: hosts.client });
    const request = { from: STRANGER, server: SERVER, port: UDP_PORT, packets } satisfies FloodRequest;
    return async () => await sender.ask<number>(request);
  };
  const empty = await flood(await emptyChain(stage, firewall));
  const tracked = await emptyChain(stage, firewall);
  await track(tracked.server, firewall);
  const emptyTracked = await flood(tracked);
  const ruled = await stage.hosts();
  await ruled.server.run("iptables", "-P", "INPUT", "DROP");
  const rules = new NaiveRules(ruled.server, UDP_PORT);
  const ruledFlood = await flood(ruled);
  const hosts = await stage.hosts();
  const site = await Site.create(stage, hosts, `packet-${firewall}`, firewall);
  await site.daemon();
  const crowd = await Crowd.gather(stage, site);
  const wkfs = await flood(hosts);
  for (const level of levels) {
    await crowd.fill(level);
    // 100,000 rules take a quarter of a millisecond and more for each packet.
    await rules.fill(Math.min(level, 1000));
    const result = await bench.rounds({ wkfs, empty, emptyTracked, rules: level === 1000 ? ruledFlood : empty });
    const what = `a packet that matches nothing, ${level.toLocaleString("en")} leases, ${firewall}`;
    const id = `packet/${firewall}/${level}`;
    const row = { what, unit: "µs", value: result.wkfs } as const;
    bench.report({
      ...row,
      id,
      reference: { what: "an empty chain that drops", value: result.empty },
      targets: level === 100_000 ? [timesAtMost(1.25)] : [],
    });
    if (level === 0 || level === 100_000) {
      const reference = {
        what: "an empty chain that drops, where connections are tracked",
        value: result.emptyTracked,
      };
      bench.report({ ...row, id: `${id}/tracked`, reference });
    }
    if (level === 1000)
      bench.report({ ...row, id: `${id}/rules`, reference: { what: "1,000 rules", value: result.rules } });
  }
}

/** Two hosts, the server with a chain that drops everything and holds no rule. */
async function emptyChain(stage: Stage, firewall: FirewallName): Promise<Hosts> {
  const hosts = await stage.hosts();
  if (firewall === "iptables") await hosts.server.run("iptables", "-P", "INPUT", "DROP");
  else {
    await hosts.server.run(
      "nft",
      "add table inet bare; add chain inet bare in { type filter hook input priority 0; policy drop; }",
    );
  }
  return hosts;
}

/**
 * Has the kernel track connections, as it does on a host whose own rules look at their state: it does so for every packet as
 * soon as one rule asks. This one is asked only about what the host sends.
 */
async function track(server: NetworkNamespace, firewall: FirewallName): Promise<void> {
  if (firewall === "iptables") {
    await server.run("iptables", "-A", "OUTPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "ACCEPT");
    return;
  }
  await server.run(
    "nft",
    "add chain inet bare out { type filter hook output priority 0; }; add rule inet bare out ct state invalid accept",
  );
}
