import type { Family } from "../bench.ts";
import { type Spread, spread } from "../measure.ts";
import { residentMemory } from "../process-figures.ts";
import { atMost } from "../row.ts";
import { Site } from "../site.ts";
import { Crowd } from "./crowd.ts";

/** Resident memory of the processes at rest, and what a lease adds to the daemon's. */
export const memory: Family = {
  name: "memory",
  async measure(bench) {
    const { stage, scale } = bench;
    const levels = scale.quick ? [0, 10_000] : [0, 10_000, 100_000];
    const figures = new Map<string, number[]>();
    const note = (name: string, figure: number) => figures.set(name, [...(figures.get(name) ?? []), figure]);
    for (let round = 0; round < (scale.quick ? 1 : scale.rounds); round += 1) {
      const site = await Site.create(stage, await stage.hosts(), `memory-${round}`, "nftables");
      const [daemon, gateway] = [await site.daemon(), await site.gateway()];
      const idle = await stage.start([process.execPath, "-e", "process.on('disconnect', () => process.exit())"]);
      const crowd = await Crowd.gather(stage, site);
      for (const level of levels) {
        await crowd.fill(level);
        note(`daemon-${level}`, residentMemory(daemon.pid));
        note(`gateway-${level}`, residentMemory(gateway.pid));
      }
      note("idle", residentMemory(idle.pid));
      const last = levels.at(-1)!;
      const grown = figures.get(`daemon-${last}`)!.at(-1)! - figures.get("daemon-0")!.at(-1)!;
      note("slope", (grown * 1024) / last);
      for (const program of [daemon, gateway, idle]) await program.end();
      await crowd.end();
    }
    const value = (name: string): Spread => spread(figures.get(name)!);
    const reference = { what: "an idle `node`", value: value("idle") };
    for (const role of ["daemon", "gateway"]) {
      for (const level of levels) {
        const what = `resident memory of the ${role}, ${level.toLocaleString("en")} leases`;
        bench.report({ id: `memory/${role}-${level}`, what, unit: "MB", value: value(`${role}-${level}`), reference });
      }
    }
    // What is used for the first time weighs more than few leases.
    if (scale.quick) return;
    bench.report({
      id: "memory/slope",
      what: `memory of the daemon for a lease, from 0 to ${levels.at(-1)!.toLocaleString("en")}`,
      unit: "KB",
      value: value("slope"),
      targets: [atMost(1)],
    });
  },
};
