import type { Bench, Family } from "../bench.ts";
import type { Program } from "../program.ts";
import { atMost } from "../row.ts";
import { type FirewallName, LONG, Site, UDP_PORT } from "../site.ts";
import { NaiveRules } from "./naive-rules.ts";

const MANY = 100_000;

/**
 * A daemon with many leases is started again: with the kernel as it left it, and with an empty one, as after a reboot. And
 * its sets are emptied while it runs. Until the kernel holds every one, which is counted after the clock has stopped. And how long
 * the daemon takes to compare every lease, as it does by itself soon after a start; by its own clock, for nobody else sees when it begins.
 */
export const restart: Family = {
  name: "restart",
  async measure(bench) {
    if (bench.scale.quick) return;
    for (const firewall of bench.firewalls) {
      if (bench.wants(`restart/${firewall}`)) await measureFirewall(bench, firewall);
    }
  },
};

async function measureFirewall(bench: Bench, firewall: FirewallName): Promise<void> {
  const { stage } = bench;
  const site = await Site.create(stage, await stage.hosts(), `restart-${firewall}`, firewall);
  await site.seed(MANY, Date.now() + (LONG - 60) * 1000);
  const run = () => site.daemon("--log-level", "debug");
  let daemon = await run();
  const whole = async (took: number) => {
    const held = await site.held();
    if (held !== MANY) throw new Error(`the kernel holds ${held} leases of ${MANY}`);
    return took;
  };
  const start = async () => {
    const started = performance.now();
    daemon = await run();
    return performance.now() - started;
  };
  const naive = new NaiveRules(await stage.host(), UDP_PORT);
  const result = await bench.rounds({
    restart: async () => {
      await daemon.end();
      return await whole(await start());
    },
    reboot: async () => {
      await daemon.end();
      await site.forget();
      return await whole(await start());
    },
    compare: async () => {
      await daemon.end();
      await start();
      const line = await daemon.says('"everything":true');
      return (JSON.parse(line) as { took: number }).took;
    },
    // Never on a daemon that is still to compare what it found at its start, which would find it too.
    reconcile: async () => {
      return await whole(await emptied(site, daemon));
    },
    rules: async () => await naive.refill(MANY),
  });
  const reference = { what: `one iptables-restore of as many rules`, value: result.rules };
  const many = MANY.toLocaleString("en");
  const row = { unit: "ms", reference } as const;
  bench.report(
    {
      ...row,
      id: `restart/${firewall}/restart`,
      what: `restart with ${many} leases, ${firewall}`,
      value: result.restart,
      targets: [atMost(2000)],
    },
    {
      ...row,
      id: `restart/${firewall}/reboot`,
      what: `start with ${many} leases after a reboot, ${firewall}`,
      value: result.reboot,
      targets: [atMost(2000)],
    },
    {
      ...row,
      id: `restart/${firewall}/compare`,
      what: `${many} leases compared with the kernel, nothing to mend, ${firewall}`,
      value: result.compare,
    },
    {
      ...row,
      id: `restart/${firewall}/reconcile`,
      what: `${many} leases back after their set was emptied, up to 2 s until that is noticed included, ${firewall}`,
      value: result.reconcile,
    },
  );
}

async function emptied(site: Site, daemon: Program): Promise<number> {
  const from = daemon.logged;
  const started = performance.now();
  await site.empty();
  await daemon.says("put right", { from });
  return performance.now() - started;
}
