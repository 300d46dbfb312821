import * as Flags from "@oclif/core/flags";
import { WkfsCommand } from "../../command.ts";
import { SERVER_DIR } from "../../config-path.ts";
import { exitCodesHelp } from "../../exit-codes.ts";

const PRESET = `${SERVER_DIR}/client/client.yaml`;

export default class ClientExportCommand extends WkfsCommand {
  static override summary = "Print all that a client needs as one block of text, keys included.";
  static override description = `On the server, for \`<%= config.bin %> client install\` on a client. Whoever has the block can open the ports: hand it on over a channel \
that you trust. Any other configuration of a client can be given as well, with its ports and its certificates.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    { description: "Print it, to be copied", command: "<%= config.bin %> <%= command.id %>" },
    {
      description: "On the client: fetch and install it in one go, while SSH is open",
      command:
        "ssh root@server.example.org <%= config.bin %> <%= command.id %> | <%= config.bin %> client install --from -",
    },
  ];
  static override flags = {
    config: Flags.string({
      char: "c",
      helpValue: "FILE",
      default: PRESET,
      description: "Configuration of a client, as `wkfs install server` writes one.",
    }),
    url: Flags.string({ helpValue: "URL", description: "URL of the gateway, instead of the configured one." }),
  };

  async run(): Promise<{ readonly block: string }> {
    const { flags } = await this.parse(ClientExportCommand);
    const [{ exportClient }, { formatBlock }] = await Promise.all([
      import("../../install/client-config.ts"),
      import("../../install/client-block.ts"),
    ]);
    const block = formatBlock(await exportClient(flags.config, flags.url));
    if (!this.jsonEnabled()) {
      process.stderr.write("This block holds the keys: whoever has it can open the ports.\n");
      process.stdout.write(block);
    }
    return { block };
  }
}
