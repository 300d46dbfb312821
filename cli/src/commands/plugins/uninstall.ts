import * as Args from "@oclif/core/args";
import { WkfsCommand } from "../../command.ts";
import { exitCodesHelp } from "../../exit-codes.ts";

export default class PluginsUninstallCommand extends WkfsCommand {
  static override aliases = ["plugins:remove", "plugins:unlink"];
  static override summary = "Take plugins out again.";
  static override description = `A plugin that is linked is only forgotten. A daemon whose configuration still uses the plugin does not start any more.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override usage = "<%= command.id %> PLUGIN...";
  static override examples = [
    { description: "By what `use:` says", command: "<%= config.bin %> <%= command.id %> pager" },
    { description: "By the package's name", command: "<%= config.bin %> <%= command.id %> @acme/wkfs-plugin-pager" },
  ];
  static override args = {
    plugin: Args.string({ required: true, description: "What `use:` says, or the package's name." }),
  };
  static override strict = false;

  async run(): Promise<object> {
    const { argv } = await this.parse(PluginsUninstallCommand);
    const { uninstallPlugin } = await import("../../plugin-install/uninstall.ts");
    const uninstalled = [];
    for (const name of argv) {
      const plugin = await uninstallPlugin(String(name), this.config.dataDir);
      uninstalled.push(plugin.name);
      this.log(`Uninstalled: ${plugin.name}`);
    }
    return { dataDir: this.config.dataDir, uninstalled };
  }
}
