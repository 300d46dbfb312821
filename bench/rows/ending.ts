import { fileURLToPath } from "node:url";
import type { NetworkNamespace } from "@wkfs/core/testing";
import type { Bench, Family } from "../bench.ts";
import type { ProbesRequest } from "../load/probes.ts";
import type { SinkReply, SinkRequest } from "../load/sink.ts";
import { spread } from "../measure.ts";
import { atMost } from "../row.ts";
import { type FirewallName, Site, UDP_PORT } from "../site.ts";
import type { Program } from "../program.ts";
import { SERVER, type Stage, clientAddress } from "../stage.ts";
import { Crowd } from "./crowd.ts";
import { NaiveRules } from "./naive-rules.ts";

/** Clients whose packets are watched, evenly over all. */
const WATCHED = 100;
/** Milliseconds from the seeding until all end together: the daemon starts meanwhile. */
const LEAD = 6000;
/** Seconds that leases last which are opened by knocks: all are open long before the first ends. */
const TIME = 4;
/** Milliseconds before and after the deadline in which packets are sent, and the daemon is asked. */
const BEFORE = 300;
const AFTER = 1500;
/** Rules that the naive way takes out one after the other; the time for all is reckoned from theirs. */
const naiveSample = (quick: boolean) => (quick ? 10 : 50);

interface Ended {
  /** Milliseconds after the deadline at which the last packet came through. */
  readonly lag: number;
  /** Milliseconds that the longest answer of the daemon took meanwhile. */
  readonly deafness: number;
}

/**
 * Leases that end together: when the last one is shut, each by its own deadline, and how long the daemon does not answer.
 * They were opened by knocks, as fast as the daemon takes them; or a daemon that was started on an empty kernel, as after a
 * reboot, has written them again, and all have the same deadline.
 */
export const ending: Family = {
  name: "ending",
  async measure(bench) {
    for (const firewall of bench.firewalls) {
      for (const count of bench.scale.quick ? [10_000] : [1000, 10_000]) {
        const id = `ending/${firewall}-${count}`;
        if (bench.wants(id)) await measureOne(bench, id, firewall, count);
      }
    }
  },
};

async function measureOne(bench: Bench, id: string, firewall: FirewallName, count: number): Promise<void> {
  const { stage, scale } = bench;
  const sample = naiveSample(scale.quick);
  const naive = new NaiveRules(await stage.host(), UDP_PORT);
  const watched = await Watched.make(stage, id.replace("/", "-"), firewall);
  const ended = { knocks: [] as Ended[], reboot: [] as Ended[] };
  const side = (name: keyof typeof ended) => async () => {
    const one = await watched.endTogether(count, name);
    ended[name].push(one);
    return one.lag;
  };
  const { spawned } = await bench.rounds({
    knocks: side("knocks"),
    reboot: side("reboot"),
    spawned: async () => {
      await naive.fill(count);
      return (await naive.close(sample)) * count;
    },
  });
  const many = count.toLocaleString("en");
  const targets = count === 10_000 ? [atMost(50)] : [];
  const reference = { what: `spawned \`iptables -D\` for all, reckoned from ${sample}`, value: spawned };
  for (const [name, how] of [
    ["knocks", "opened by knocks"],
    ["reboot", "written again after a reboot"],
  ] as const) {
    const counted = ended[name].slice(-scale.rounds);
    const what = `${many} ending together, ${how}`;
    const row = { unit: "ms", reference, targets } as const;
    bench.report(
      {
        ...row,
        id: `${id}/${name}-lag`,
        what: `${what}: the last is shut after its deadline, ${firewall}`,
        value: spread(counted.map(({ lag }) => lag)),
      },
      {
        ...row,
        id: `${id}/${name}-deafness`,
        what: `${what}: the longest answer of the daemon, ${firewall}`,
        value: spread(counted.map(({ deafness }) => deafness)),
      },
    );
  }
}

/** A server with a daemon for each round, and who watches it. */
class Watched {
  readonly #stage: Stage;
  readonly #site: Site;
  readonly #sink: Program;
  readonly #probes: Program;

  private constructor(stage: Stage, site: Site, sink: Program, probes: Program) {
    this.#stage = stage;
    this.#site = site;
    this.#sink = sink;
    this.#probes = probes;
  }

  static async make(stage: Stage, name: string, firewall: FirewallName): Promise<Watched> {
    const site = await Site.create(stage, await stage.hosts(), name, firewall);
    const start = (file: string, host: NetworkNamespace) =>
      stage.start([process.execPath, fileURLToPath(new URL(`../load/${file}.ts`, import.meta.url))], { host });
    const sink = await start("sink", site.server);
    await sink.ask({ port: UDP_PORT } satisfies SinkRequest);
    return new Watched(stage, site, sink, await start("probes", site.client));
  }

  async endTogether(count: number, how: "knocks" | "reboot"): Promise<Ended> {
    if (how === "reboot") await this.#site.seed(count, Date.now() + LEAD);
    const daemon = await this.#site.daemon();
    const crowd = await Crowd.gather(this.#stage, this.#site);
    if (how === "knocks") await crowd.openFor(count, TIME);
    const clients = Array.from({ length: WATCHED }, (_, index) => Math.floor((index * count) / WATCHED));
    const known = await this.#site.deadlines();
    const deadlines = clients.map((index) => known.get(clientAddress(index)) ?? 0);
    const [first, final] = [Math.min(...deadlines), Math.max(...deadlines)];
    if (Date.now() > first - 2 * BEFORE) throw new Error("the leases were there too late");
    // What is done for the first time takes longer.
    await crowd.longestWait(first - BEFORE);
    const epoch = Date.now() - Number(process.hrtime.bigint()) / 1e6;
    const before = await this.#sink.ask<SinkReply>({ last: true } satisfies SinkRequest);
    const [from, until] = [first - BEFORE / 2, final + AFTER];
    const request = { clients, server: SERVER, port: UDP_PORT, from, until } satisfies ProbesRequest;
    const [, deafness] = await Promise.all([this.#probes.ask(request), crowd.longestWait(until)]);
    const { last, packets } = await this.#sink.ask<SinkReply>({ last: true } satisfies SinkRequest);
    if (packets < before.packets + WATCHED) throw new Error("the ports were not open before the deadline");
    await crowd.end();
    await daemon.end();
    const lags = clients.map((index, at) => epoch + Number(last[clientAddress(index)]) / 1e6 - deadlines[at]!);
    return { lag: Math.max(...lags), deafness };
  }
}
