import * as Args from "@oclif/core/args";
import { WkfsCommand } from "../../command.ts";
import { serverConfigPath } from "../../config-path.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { configFlag } from "../../flags.ts";

export default class PluginsInspectCommand extends WkfsCommand {
  static override summary = "Show one plugin: package, version, folder, what it depends on, where it is used.";
  static override description = `Reads the plugin's package.json and runs nothing of it, when that says the kind.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    { description: "By what `use:` says", command: "<%= config.bin %> <%= command.id %> pager" },
    { description: "For a program", command: "<%= config.bin %> <%= command.id %> pager --json" },
  ];
  static override args = {
    plugin: Args.string({ required: true, description: "What `use:` says, or the package's name." }),
  };
  static override flags = { config: configFlag("/etc/wkfs/wkfs.yaml") };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(PluginsInspectCommand);
    const [{ inspectPlugin, inspectionText }, { usedByConfig }] = await Promise.all([
      import("../../plugin-install/inspect.ts"),
      import("../../plugin-install/used-by-config.ts"),
    ]);
    const { uses } = await usedByConfig(serverConfigPath(flags.config), flags.config !== undefined);
    const commands = (name: string) => this.config.plugins.get(name)?.commandIDs ?? [];
    const inspection = await inspectPlugin(args.plugin, this.config.dataDir, uses, commands);
    this.log(inspectionText(inspection));
    return inspection;
  }
}
