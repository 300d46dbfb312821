import * as Args from "@oclif/core/args";
import { WkfsCommand } from "../../command.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { bundledNames } from "../../plugins.ts";

export default class PluginsInstallCommand extends WkfsCommand {
  static override aliases = ["plugins:add"];
  static override summary = "Install plugins from the registry of npm, from a tarball or from a folder.";
  static override description = `NAME means the package @wkfs/NAME, else wkfs-plugin-NAME, and never a package that is just called NAME. What has a slash, or ends in .tgz, is a path, relative to the current \
folder. What is in a folder is copied; \`wkfs plugins link\` uses it where it is.

A package is looked at before it is installed: it must carry the key "wkfs" in its package.json and be for this version of the contracts. Scripts of packages are not run, and no code of the plugin. \
Registry and proxy are those of the settings of npm.

Plugins go to WKFS_DATA_DIR, else to /var/lib/wkfs for root. A daemon that runs takes a plugin up when it is started again.

${exitCodesHelp("ok", "unexpected", "invalid", "unreachable")}`;
  static override usage = "<%= command.id %> PLUGIN...";
  static override examples = [
    { description: "From the registry, the newest version", command: "<%= config.bin %> <%= command.id %> pager" },
    {
      description: "A certain version, or one of a range, of a package of somebody's own scope",
      command: "<%= config.bin %> <%= command.id %> @acme/wkfs-plugin-pager@^1.2",
    },
    {
      description: "A tarball that `npm pack` made",
      command: "<%= config.bin %> <%= command.id %> ./wkfs-plugin-pager-1.0.0.tgz",
    },
    { description: "A folder with a package", command: "<%= config.bin %> <%= command.id %> ../wkfs-plugin-pager" },
  ];
  static override args = { plugin: Args.string({ required: true, description: "Name, tarball or folder." }) };
  static override strict = false;

  async run(): Promise<object> {
    const { argv } = await this.parse(PluginsInstallCommand);
    const { installPlugins } = await import("../../plugin-install/install.ts");
    const { dataDir } = this.config;
    const tell = ({ name, version }: { name: string; version: string }) =>
      this.log(`Installed: ${name} ${version} in ${dataDir}`);
    const installed = await installPlugins(argv.map(String), dataDir, bundledNames(), tell);
    const names = installed.map(({ use }) => `use: ${use}`).join(", ");
    this.log(`Next: configure it (${names}), run \`wkfs config check\`, and start the daemon again`);
    return { dataDir, installed };
  }
}
