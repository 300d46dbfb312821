import * as Args from "@oclif/core/args";
import * as Errors from "@oclif/core/errors";
import { WkfsCommand } from "../../command.ts";
import { clientConfigPath } from "../../config-path.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { configFlag } from "../../flags.ts";

const portArg = Args.custom<number>({
  parse: async (text) => {
    const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
    if (port >= 1 && port <= 65_535) return port;
    throw new Errors.CLIError(`Expected a port from 1 to 65535, but received: ${text}`);
  },
});

export default class ClientProxyCommand extends WkfsCommand {
  /** What comes on stdout is the other side's. */
  static override enableJsonFlag = false;
  static override summary = "Knock for a TCP port, then connect stdin and stdout with it; for ProxyCommand of ssh.";
  static override description = `Two lines in ~/.ssh/config, and \`ssh server.example.org\` knocks by itself:

  Host server.example.org
    ProxyCommand <%= config.bin %> client proxy %h %p

The lease is as short as it can be, for a connection that stands outlives it. Errors go to stderr, where ssh shows them. HOST \
has to be the server that the configuration's URL leads to; for several servers give each its --config.

${exitCodesHelp("ok", "unexpected", "invalid", "unreachable", "refused")}`;
  static override examples = [
    {
      description: "Log in without a change of ~/.ssh/config",
      command: 'ssh -o ProxyCommand="<%= config.bin %> <%= command.id %> %h %p" server.example.org',
    },
    {
      description: "For another server than the usual one, in ~/.ssh/config",
      command: "<%= config.bin %> <%= command.id %> --config ~/.config/wkfs/office.yaml %h %p",
    },
  ];
  static override args = {
    host: Args.string({ required: true, description: "Name or address of the server." }),
    port: portArg({ required: true, description: "TCP port." }),
  };
  static override flags = { config: configFlag("$XDG_CONFIG_HOME/wkfs/client.yaml") };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ClientProxyCommand);
    const [{ createClient, loadClientConfig }, { closableOutput, knockAndConnect, pipeThrough }] = await Promise.all([
      import("#client-side"),
      import("../../client/proxy.ts"),
    ]);
    const client = await createClient({ config: await loadClientConfig(clientConfigPath(flags.config)) });
    const socket = await knockAndConnect(client, args);
    await pipeThrough(socket, process.stdin, closableOutput());
    // Standard output is closed by now, which whatever would flush it need not find out.
    process.exit();
  }
}
