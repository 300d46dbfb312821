import * as Args from "@oclif/core/args";
import { WkfsCommand } from "../../command.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { bundledNames } from "../../plugins.ts";

export default class PluginsLinkCommand extends WkfsCommand {
  static override summary = "Use a plugin where its folder is, to work on it.";
  static override description = `Nothing is copied and nothing is fetched: the folder needs its own node_modules, and its code must be built. The folder must be one that only root and you can write.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    { description: "The current folder", command: "<%= config.bin %> <%= command.id %>" },
    { description: "Another folder", command: "<%= config.bin %> <%= command.id %> ../wkfs-plugin-pager" },
  ];
  static override args = { folder: Args.string({ default: ".", description: "Folder of the plugin's package." }) };

  async run(): Promise<object> {
    const { args } = await this.parse(PluginsLinkCommand);
    const { linkPlugin } = await import("../../plugin-install/link.ts");
    const plugin = await linkPlugin(args.folder, this.config.dataDir, bundledNames());
    this.log(`Linked: ${plugin.name} ${plugin.version}\nNext: build it, and configure it (use: ${plugin.use})`);
    return plugin;
  }
}
