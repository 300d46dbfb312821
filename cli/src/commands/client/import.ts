import { resolve } from "node:path";
import * as Args from "@oclif/core/args";
import * as Flags from "@oclif/core/flags";
import { WkfsCommand } from "../../command.ts";
import { clientDir } from "../../config-path.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import type { ClientFiles } from "../../install/client-config.ts";

export default class ClientImportCommand extends WkfsCommand {
  static override summary = "Take over the configuration of a PHP client.";
  static override description = `Writes client.yaml and v1.json, readable by their owner alone, from the URL and the keys of a config.dat. The file itself \
is left as it is.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    {
      description: "Take over what the PHP client was installed with",
      command: "<%= config.bin %> <%= command.id %> /opt/webknocker/config.dat",
    },
    {
      description: "Into another folder, over what is there",
      command: "<%= config.bin %> <%= command.id %> config.dat --out ./office --force",
    },
  ];
  static override args = { file: Args.string({ required: true, description: "config.dat of the PHP client." }) };
  static override flags = {
    out: Flags.string({ helpValue: "DIR", description: "Folder to write to (default: $XDG_CONFIG_HOME/wkfs)." }),
    force: Flags.boolean({ description: "Overwrite a configuration that is there." }),
  };

  async run(): Promise<ClientFiles> {
    const { args, flags } = await this.parse(ClientImportCommand);
    const [{ exposedWarning, readBrought, writeClientConfig }, { readPhpConfig }] = await Promise.all([
      import("../../install/client-config.ts"),
      import("../../install/php-config.ts"),
    ]);
    const { text, exposed } = await readBrought(args.file);
    const { url, keys } = readPhpConfig(text, args.file);
    const written = await writeClientConfig(resolve(flags.out ?? clientDir()), { url }, keys, {
      origin: args.file,
      replace: flags.force,
    });
    const warning = exposedWarning(args.file, exposed);
    if (warning !== undefined) process.stderr.write(`${warning}\n`);
    this.log(`configuration  ${written.config}\nkeys           ${written.keys}`);
    return written;
  }
}
