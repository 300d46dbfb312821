import { fileURLToPath } from "node:url";
import type { Bench, Family } from "../bench.ts";
import type { FloodRequest } from "../load/flood.ts";
import type { SinkRequest } from "../load/sink.ts";
import type { Side } from "../measure.ts";
import { timesAtMost } from "../row.ts";
import { type FirewallName, Site, UDP_PORT } from "../site.ts";
import { type Hosts, SERVER, clientAddress } from "../stage.ts";
import { Crowd } from "./crowd.ts";
import { NaiveRules } from "./naive-rules.ts";

const module = (name: string) => fileURLToPath(new URL(`../load/${name}.ts`, import.meta.url));
/** A client that never has a lease. */
const STRANGER = clientAddress(4_000_000);

/**
 * What a packet costs that no lease lets through, from the sender's system call through the cable and the packet filter
 * of the server until it is dropped. With an empty chain that is all the rest of the way.
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
  const bare = await stage.hosts();
  if (firewall === "iptables") await bare.server.run("iptables", "-P", "INPUT", "DROP");
  else {
    await bare.server.run(
      "nft",
      "add table inet bare; add chain inet bare in { type filter hook input priority 0; policy drop; }",
    );
  }
  const empty = await flood(bare);
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
    const result = await bench.rounds({ wkfs, empty, rules: level === 1000 ? ruledFlood : empty });
    const what = `a packet that matches nothing, ${level.toLocaleString("en")} leases, ${firewall}`;
    const id = `packet/${firewall}/${level}`;
    const row = { what, unit: "µs", value: result.wkfs } as const;
    bench.report({
      ...row,
      id,
      reference: { what: "an empty chain that drops", value: result.empty },
      targets: level === 100_000 ? [timesAtMost(1.25)] : [],
    });
    if (level === 1000)
      bench.report({ ...row, id: `${id}/rules`, reference: { what: "1,000 rules", value: result.rules } });
  }
}
