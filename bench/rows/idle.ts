import { setTimeout as delay } from "node:timers/promises";
import type { Family } from "../bench.ts";
import { processorTime } from "../process-figures.ts";
import type { Program } from "../program.ts";
import { Site } from "../site.ts";

/** The share of a core that the processes take when nobody knocks, their children's included. */
export const idle: Family = {
  name: "idle",
  async measure(bench) {
    const { stage, scale } = bench;
    // The daemon looks at the packet filter every 2 s.
    const time = scale.quick ? 1500 : 20_000;
    for (const firewall of bench.firewalls) {
      const site = await Site.create(stage, await stage.hosts(), `idle-${firewall}`, firewall);
      const [daemon, gateway] = [await site.daemon(), await site.gateway()];
      const empty = await stage.start([process.execPath, "-e", "process.on('disconnect', () => process.exit())"]);
      await delay(scale.quick ? 1000 : 4000);
      const share = async ({ pid }: Program) => {
        const before = processorTime(pid);
        await delay(time);
        return ((processorTime(pid) - before) / time) * 100_000;
      };
      const options = { rounds: scale.quick ? 1 : scale.rounds, warmUp: 0 };
      const result = await bench.rounds(
        { daemon: () => share(daemon), gateway: () => share(gateway), empty: () => share(empty) },
        options,
      );
      const reference = { what: "an idle `node`", value: result.empty };
      const row = { unit: "%", reference } as const;
      bench.report({
        ...row,
        id: `idle/daemon-${firewall}`,
        what: `CPU of the daemon at idle, ${firewall}`,
        value: result.daemon,
      });
      if (firewall === bench.firewalls[0])
        bench.report({ ...row, id: "idle/gateway", what: "CPU of the gateway at idle", value: result.gateway });
      for (const program of [daemon, gateway, empty]) await program.end();
    }
  },
};
