import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Family } from "../bench.ts";
import { timesAtMost } from "../row.ts";
import { CLI, Site, TCP_PORT } from "../site.ts";

const run = promisify(execFile);

/** Milliseconds that a command takes from its spawning to its end, beside `node -e 0`. */
export const startUp: Family = {
  name: "start-up",
  async measure(bench) {
    const { stage } = bench;
    const hosts = await stage.hosts();
    const site = await Site.create(stage, hosts, "start-up", "iptables");
    await site.daemon();
    await site.gateway();
    const took = (argv: readonly string[]) => async () => {
      stage.signal.throwIfAborted();
      const started = performance.now();
      await run(argv[0]!, argv.slice(1), { env: { ...process.env, WKFS_DATA_DIR: stage.path("data") } });
      return performance.now() - started;
    };
    const open = ["client", "open", "--config", site.clientConfig, "--tcp", String(TCP_PORT), "--time", "60"];
    const node = process.execPath;
    const { prefix } = hosts.client;
    const result = await bench.rounds(
      {
        help: took([node, CLI, "--help"]),
        empty: took([node, "-e", "0"]),
        open: took([...prefix, node, CLI, ...open]),
        emptyThere: took([...prefix, node, "-e", "0"]),
      },
      { rounds: Math.max(bench.scale.rounds, bench.scale.quick ? 5 : 15) },
    );
    bench.report(
      {
        id: "start-up/help",
        what: "`wkfs --help`",
        unit: "ms",
        value: result.help,
        reference: { what: "`node -e 0`", value: result.empty },
        targets: [timesAtMost(5)],
      },
      {
        id: "start-up/client",
        what: "`wkfs client open`, knock and answer included",
        unit: "ms",
        value: result.open,
        reference: { what: "`node -e 0`, started in the same namespace", value: result.emptyThere },
        targets: [timesAtMost(6)],
      },
    );
  },
};
