import * as Args from "@oclif/core/args";
import { WkfsCommand } from "../../command.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { bundledNames } from "../../plugins.ts";

export default class PluginsUpdateCommand extends WkfsCommand {
  static override summary = "Install newer versions of the plugins that are installed.";
  static override description = `Without a name: of all. From the registry comes what was asked for on installing: the newest version, or one of that range, or that very version. A tarball or a folder is \
installed again from its path, when it is there. What is linked is left alone. What cannot be updated stays as it is.

${exitCodesHelp("ok", "unexpected", "invalid", "unreachable")}`;
  static override usage = "<%= command.id %> [PLUGIN...]";
  static override examples = [
    { description: "All", command: "<%= config.bin %> <%= command.id %>" },
    { description: "One", command: "<%= config.bin %> <%= command.id %> pager" },
  ];
  static override args = { plugin: Args.string({ description: "What `use:` says, or the package's name." }) };
  static override strict = false;

  async run(): Promise<object> {
    const { argv } = await this.parse(PluginsUpdateCommand);
    const { updatePlugins } = await import("../../plugin-install/update.ts");
    const updated = await updatePlugins(argv.map(String), this.config.dataDir, bundledNames(), (line) =>
      this.log(line),
    );
    return { dataDir: this.config.dataDir, updated };
  }
}
