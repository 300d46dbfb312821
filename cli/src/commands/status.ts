import type { DaemonReport } from "@wkfs/core/daemon";
import { WkfsCommand } from "../command.ts";
import { EXIT, exitCodesHelp } from "../exit-codes.ts";
import { daemonFlags } from "../flags.ts";

export default class StatusCommand extends WkfsCommand {
  static override summary = "Show how the running daemon is: packet filters, leases, notifiers, the latest events.";
  static override description = `Asks the daemon over its control socket. Ends with 1 when something needs attention.

${exitCodesHelp("ok", "unexpected", "invalid", "unreachable")}`;
  static override examples = [
    {
      description: "The daemon of /etc/wkfs/wkfs.yaml",
      command: "<%= config.bin %> <%= command.id %>",
    },
    {
      description: "Everything, for a program",
      command: "<%= config.bin %> <%= command.id %> --json",
    },
  ];
  static override flags = { ...daemonFlags };

  async run(): Promise<DaemonReport> {
    const { flags } = await this.parse(StatusCommand);
    const [{ ask }, { statusLines, isWell }] = await Promise.all([
      import("../steer/control-socket.ts"),
      import("../steer/status-report.ts"),
    ]);
    const report = await ask<DaemonReport>(flags, "status");
    for (const line of statusLines(report)) this.log(line);
    if (!isWell(report)) process.exitCode = EXIT.unexpected;
    return report;
  }
}
