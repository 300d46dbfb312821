import type { CloseResult } from "@wkfs/core/client";
import { WkfsCommand } from "../../command.ts";
import { clientConfigPath } from "../../config-path.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { configFlag, portsFlag, portsOf } from "../../flags.ts";

export default class ClientCloseCommand extends WkfsCommand {
  static override summary = "Close ports before their time is over.";
  static override description = `Without --tcp and --udp all that these keys have open for this host's address. Connections that stand are not cut. \
A \`<%= config.bin %> client\` that still runs opens them again when it renews. The PHP program's server cannot do it.

${exitCodesHelp("ok", "unexpected", "invalid", "unreachable", "refused")}`;
  static override examples = [
    { description: "Leave nothing open", command: "<%= config.bin %> <%= command.id %>" },
    { description: "Close SSH, and keep the rest", command: "<%= config.bin %> <%= command.id %> --tcp 22" },
  ];
  static override flags = {
    config: configFlag("$XDG_CONFIG_HOME/wkfs/client.yaml"),
    tcp: portsFlag("TCP port to close; may be given several times."),
    udp: portsFlag("UDP port to close; may be given several times."),
  };

  async run(): Promise<CloseResult> {
    const { flags } = await this.parse(ClientCloseCommand);
    const [{ createClient, loadClientConfig }, { closeLines }] = await Promise.all([
      import("#client-side"),
      import("../../open-report.ts"),
    ]);
    const client = await createClient({ config: await loadClientConfig(clientConfigPath(flags.config)) });
    const result = await client.closePorts(portsOf(flags));
    for (const line of closeLines(result)) this.log(line);
    return result;
  }
}
