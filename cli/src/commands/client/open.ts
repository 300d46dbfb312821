import type { KnockResult } from "@wkfs/core/client";
import { WkfsCommand } from "../../command.ts";
import { clientConfigPath } from "../../config-path.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { configFlag, durationFlag, portsFlag, portsOf } from "../../flags.ts";
import { openExitCode, openLines } from "../../open-report.ts";

export default class ClientOpenCommand extends WkfsCommand {
  static override summary = "Knock once: open ports for this host's address, for a limited time.";
  static override description = `Without --tcp and --udp it asks for the ports of the configuration, or for all that the server offers.

${exitCodesHelp("ok", "unexpected", "invalid", "unreachable", "refused", "partly")}`;
  static override examples = [
    { description: "Open what the configuration says", command: "<%= config.bin %> <%= command.id %>" },
    {
      description: "Open SSH for two minutes and log in",
      command: "<%= config.bin %> <%= command.id %> --tcp 22 --time 2m && ssh server.example.org",
    },
    {
      description: "Several ports, answer for a program",
      command: "<%= config.bin %> <%= command.id %> --tcp 22 --tcp 5432 --udp 1194 --json",
    },
  ];
  static override flags = {
    config: configFlag("$XDG_CONFIG_HOME/wkfs/client.yaml"),
    tcp: portsFlag("TCP port to open; may be given several times."),
    udp: portsFlag("UDP port to open; may be given several times."),
    time: durationFlag({ description: "How long, in seconds or as 90s, 10m, 2h; the server may allow less." }),
  };

  async run(): Promise<KnockResult> {
    const { flags } = await this.parse(ClientOpenCommand);
    const { createClient, loadClientConfig } = await import("#client-side");
    const client = await createClient({ config: await loadClientConfig(clientConfigPath(flags.config)) });
    const ports = portsOf(flags);
    const { time } = flags;
    const result = await client.knock({ ...(ports && { ports }), ...(time && { time }) });
    for (const line of openLines(result)) this.log(line);
    process.exitCode = openExitCode(result);
    return result;
  }
}
