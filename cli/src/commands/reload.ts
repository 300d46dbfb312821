import type { Reloaded } from "@wkfs/core/daemon";
import { WkfsCommand } from "../command.ts";
import { exitCodesHelp } from "../exit-codes.ts";
import { daemonFlags } from "../flags.ts";

export default class ReloadCommand extends WkfsCommand {
  static override summary = "Have the running daemon read its configuration anew. Leases stay, and so does the guard.";
  static override description = `Asks the daemon over its control socket, and returns when the new configuration is in force. It is checked in full first: where it is wrong, \
or where a restart is needed for what has changed, the daemon goes on with the one that it had. The gateway has no such socket: send it SIGHUP, or use \
\`systemctl reload wkfs-gateway\`.

${exitCodesHelp("ok", "unexpected", "invalid", "unreachable")}`;
  static override examples = [
    {
      description: "After a change of /etc/wkfs/wkfs.yaml",
      command: "<%= config.bin %> <%= command.id %>",
    },
    {
      description: "What has changed, for a program",
      command: "<%= config.bin %> <%= command.id %> --json",
    },
  ];
  static override flags = { ...daemonFlags };

  async run(): Promise<Reloaded> {
    const { flags } = await this.parse(ReloadCommand);
    const { reloadDaemon, reloadLines } = await import("../steer/reload.ts");
    const reloaded = await reloadDaemon(flags);
    for (const line of reloadLines(reloaded)) this.log(line);
    return reloaded;
  }
}
