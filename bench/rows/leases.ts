import type { Bench, Family } from "../bench.ts";
import type { Spread } from "../measure.ts";
import { type Row, type Target, atLeast, timesAtLeast } from "../row.ts";
import { type FirewallName, Site, UDP_PORT } from "../site.ts";
import { Crowd } from "./crowd.ts";
import { NaiveRules } from "./naive-rules.ts";

/**
 * New leases and renewals a second through the daemon, durable and in the kernel when they are answered, on a process
 * that asks over the daemon's transport. The leases of one round have ended before the next round, so the number that
 * stands open when a round begins is the row's.
 */
export const leases: Family = {
  name: "leases",
  async measure(bench) {
    for (const firewall of bench.firewalls) {
      if (bench.wants(`leases/${firewall}`)) await measureFirewall(bench, firewall);
    }
  },
};

/** A daemon, and clients for it. */
async function crowd(bench: Bench, name: string, firewall: FirewallName): Promise<Crowd> {
  const { stage } = bench;
  const site = await Site.create(stage, await stage.hosts(), name, firewall);
  await site.daemon();
  return await Crowd.gather(stage, site);
}

async function measureFirewall(bench: Bench, firewall: FirewallName): Promise<void> {
  const { stage, scale } = bench;
  const burst = scale.quick ? 4000 : 10_000;
  const levels = scale.quick ? [10_000] : [10, 1000, 10_000, 100_000];
  const name = (what: string) => `leases/${firewall}/${what}`;
  const wanted = levels.filter((level) => bench.wants(name(`new-${level}`)));
  const naive = new NaiveRules(await stage.host(), UDP_PORT);
  const naiveRate = (level: number) => async () => {
    await naive.fill(level);
    return 1000 / (await naive.open(level > 10_000 || scale.quick ? 20 : 100));
  };
  const newRow = (level: number, value: Spread, reference: Row["reference"], ...targets: Target[]): Row => ({
    id: name(`new-${level}`),
    what: `new leases, durable, ${level.toLocaleString("en")} open, ${firewall}`,
    unit: "1/s",
    value,
    reference,
    targets,
  });

  const small = await crowd(bench, `leases-${firewall}`, firewall);
  for (const level of wanted.filter((wantedLevel) => wantedLevel < 100_000)) {
    await small.fill(level);
    const { wkfs, spawned } = await bench.rounds({ wkfs: () => small.open(burst), spawned: naiveRate(level) });
    const targets = level === 10_000 ? [atLeast(20_000), timesAtLeast(50)] : [];
    bench.report(newRow(level, wkfs, { what: "one spawned `iptables -I` a lease", value: spawned }, ...targets));
  }
  if (bench.wants(name("renewals"))) {
    await small.fill(10_000);
    const { wkfs, spawned } = await bench.rounds({ wkfs: () => small.renew(burst), spawned: naiveRate(10_000) });
    bench.report({
      id: name("renewals"),
      what: `renewals, durable, 10,000 open, ${firewall}`,
      unit: "1/s",
      value: wkfs,
      reference: { what: "one spawned `iptables -I` a renewal", value: spawned },
    });
  }
  if (!wanted.includes(100_000)) return;
  const large = await crowd(bench, `leases-${firewall}-large`, firewall);
  const few = await crowd(bench, `leases-${firewall}-few`, firewall);
  await large.fill(100_000);
  await few.fill(100);
  const result = await bench.rounds({
    wkfs: () => large.open(burst),
    few: () => few.open(burst),
    spawned: naiveRate(100_000),
  });
  bench.report(newRow(100_000, result.wkfs, { what: "one spawned `iptables -I` a lease", value: result.spawned }), {
    ...newRow(100_000, result.wkfs, { what: "the same with 100 open", value: result.few }, timesAtLeast(0.8)),
    id: name("new-100000-100"),
  });
}
