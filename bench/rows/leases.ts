import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Bench, Family } from "../bench.ts";
import type { DaemonLoadReply, DaemonLoadRequest } from "../load/daemon-load.ts";
import type { Spread } from "../measure.ts";
import type { Program } from "../program.ts";
import { type Row, type Target, atLeast, timesAtLeast } from "../row.ts";
import { FIREWALLS, type FirewallName, LONG, Site, UDP_PORT, hasFirewall } from "../site.ts";
import { NaiveRules } from "./naive-rules.ts";

const LOAD = fileURLToPath(new URL("../load/daemon-load.ts", import.meta.url));
/** Requests that wait for their answer at the same time. */
const IN_FLIGHT = 512;
/** Seconds that a lease of a measurement lasts: all have ended before the next one. */
const SHORT = 2;
/** Milliseconds after the last deadline until everything about it is done. */
const AFTER = 700;
/** Where the leases of measurements begin: never one that stands. */
const BURST = 1_000_000;

/**
 * New leases and renewals a second through the daemon, durable and in the kernel when they are answered, on a process
 * that asks over the daemon's transport. The leases of one round have ended before the next round, so the number that
 * stands open when a round begins is the row's.
 */
export const leases: Family = {
  name: "leases",
  async measure(bench) {
    for (const firewall of FIREWALLS) {
      if (!bench.wants(`leases/${firewall}`)) continue;
      if (hasFirewall(firewall)) await measureFirewall(bench, firewall);
      else {
        bench.report({
          id: `leases/${firewall}`,
          what: `leases a second, ${firewall}`,
          unit: "1/s",
          value: undefined,
          note: `@wkfs/${firewall} is not installed`,
        });
      }
    }
  },
};

/** A daemon with so many leases open, and the process that asks it. */
class Crowd {
  readonly #load: Program;
  #open = 0;
  #next = BURST;
  #endsAt = 0;

  private constructor(load: Program) {
    this.#load = load;
  }

  static async gather(bench: Bench, name: string, firewall: FirewallName): Promise<Crowd> {
    const { stage } = bench;
    const site = await Site.create(stage, await stage.hosts(), name, firewall);
    await site.daemon();
    const load = await stage.start([process.execPath, LOAD], { host: site.server });
    await load.ask({ open: site.transport } satisfies DaemonLoadRequest);
    return new Crowd(load);
  }

  /** Opens more, until there are so many for the whole run. */
  async fill(count: number): Promise<void> {
    if (count > this.#open) await this.#ask(this.#open, count - this.#open, LONG);
    this.#open = count;
  }

  /** New leases a second. */
  async open(count: number): Promise<number> {
    await delay(Math.max(0, this.#endsAt + AFTER - Date.now()));
    const first = this.#next;
    this.#next += count;
    const { took } = await this.#ask(first, count, SHORT);
    this.#endsAt = Date.now() + SHORT * 1000;
    return (count / took) * 1000;
  }

  /** Renewals a second, of those that stand. */
  async renew(count: number): Promise<number> {
    await delay(Math.max(0, this.#endsAt + AFTER - Date.now()));
    const { took } = await this.#ask(0, count, LONG);
    return (count / took) * 1000;
  }

  async #ask(first: number, count: number, time: number): Promise<DaemonLoadReply> {
    return await this.#load.ask<DaemonLoadReply>({
      first,
      count,
      inFlight: IN_FLIGHT,
      time,
      port: UDP_PORT,
    } satisfies DaemonLoadRequest);
  }
}

async function measureFirewall(bench: Bench, firewall: FirewallName): Promise<void> {
  const { stage, scale } = bench;
  const burst = scale.quick ? 1000 : 4000;
  const levels = scale.quick ? [10, 1000, 10_000] : [10, 1000, 10_000, 100_000];
  const name = (what: string) => `leases/${firewall}/${what}`;
  const wanted = levels.filter((level) => bench.wants(name(`new-${level}`)));
  const naive = new NaiveRules(await stage.host(), UDP_PORT);
  const naiveRate = (level: number) => async () => {
    await naive.fill(level);
    return 1000 / (await naive.open(level > 10_000 ? 20 : 100));
  };
  const newRow = (level: number, value: Spread, reference: Row["reference"], ...targets: Target[]): Row => ({
    id: name(`new-${level}`),
    what: `new leases, durable, ${level.toLocaleString("en")} open, ${firewall}`,
    unit: "1/s",
    value,
    reference,
    targets,
  });

  const small = await Crowd.gather(bench, `leases-${firewall}`, firewall);
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
  const large = await Crowd.gather(bench, `leases-${firewall}-large`, firewall);
  const few = await Crowd.gather(bench, `leases-${firewall}-few`, firewall);
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
