import * as Flags from "@oclif/core/flags";
import type { CountedLease } from "@wkfs/core/daemon";
import { WkfsCommand } from "../command.ts";
import { exitCodesHelp } from "../exit-codes.ts";
import { daemonFlags } from "../flags.ts";

export default class LeasesCommand extends WkfsCommand {
  static override summary = "List what is open: for whom, which port, how long still.";
  static override description = `The first to end comes first. On a terminal it is a table, in a pipe lines whose columns are parted by tabs. With --watch it is shown anew whenever something changes, and each second on a terminal.

${exitCodesHelp("ok", "unexpected", "invalid", "unreachable")}`;
  static override examples = [
    {
      description: "What is open now",
      command: "<%= config.bin %> <%= command.id %>",
    },
    {
      description: "Watch it",
      command: "<%= config.bin %> <%= command.id %> --watch",
    },
    {
      description: "The addresses",
      command: "<%= config.bin %> <%= command.id %> | cut -f 1",
    },
    {
      description: "For a program",
      command: "<%= config.bin %> <%= command.id %> --json",
    },
  ];
  static override flags = {
    ...daemonFlags,
    counters: Flags.boolean({
      description:
        "Show what the kernel counted, with `counters: true` of the firewall; the first packet of each connection.",
    }),
    watch: Flags.boolean({ description: "Go on until it is ended, and show each change." }),
  };

  async run(): Promise<readonly CountedLease[]> {
    const { flags } = await this.parse(LeasesCommand);
    const [{ readLeases, leaseTable }, { watchLeases }] = await Promise.all([
      import("../steer/leases.ts"),
      import("../steer/watch-leases.ts"),
    ]);
    if (flags.watch) {
      await watchLeases(flags, process.stdout, this.jsonEnabled());
      return [];
    }
    const leases = await readLeases(flags);
    for (const line of leaseTable(leases, Date.now(), process.stdout.isTTY, flags.counters)) this.log(line);
    return leases;
  }
}
