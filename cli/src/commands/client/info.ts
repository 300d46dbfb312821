import type { ServerInfo } from "@wkfs/core/client";
import { WkfsCommand } from "../../command.ts";
import { clientConfigPath } from "../../config-path.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { configFlag } from "../../flags.ts";

export default class ClientInfoCommand extends WkfsCommand {
  static override summary = "Ask a server which ports it opens, for how long, and what address it sees.";
  static override description = `Opens nothing.

${exitCodesHelp("ok", "unexpected", "invalid", "unreachable", "refused")}`;
  static override examples = [
    { description: "See what the server offers", command: "<%= config.bin %> <%= command.id %>" },
    { description: "The same for a program", command: "<%= config.bin %> <%= command.id %> --json" },
  ];
  static override flags = { config: configFlag("$XDG_CONFIG_HOME/wkfs/client.yaml") };

  async run(): Promise<ServerInfo> {
    const { flags } = await this.parse(ClientInfoCommand);
    const { createClient, loadClientConfig } = await import("#client-side");
    const client = await createClient({ config: await loadClientConfig(clientConfigPath(flags.config)) });
    const info = await client.info();
    this.log(`address  ${info.ip}`);
    this.log(`tcp      ${info.tcp.join(", ") || "none"}`);
    this.log(`udp      ${info.udp.join(", ") || "none"}`);
    this.log(`at most  ${info.maxTime} s`);
    return info;
  }
}
