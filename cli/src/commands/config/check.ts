import { WkfsCommand } from "../../command.ts";
import { serverConfigPath } from "../../config-path.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { configFlag } from "../../flags.ts";
import { loadPlugins } from "../../plugins.ts";

export default class ConfigCheckCommand extends WkfsCommand {
  static override summary = "Check the server's configuration: every key, every plugin, every secret.";
  static override description = `Checks both halves, as far as the file has sections for them, and touches nothing. An error names file, line, plugin and key.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    { description: "Check /etc/wkfs/wkfs.yaml", command: "<%= config.bin %> <%= command.id %>" },
    { description: "Check another file", command: "<%= config.bin %> <%= command.id %> --config ./wkfs.yaml" },
  ];
  static override flags = { config: configFlag("/etc/wkfs/wkfs.yaml") };

  async run(): Promise<object> {
    const { flags } = await this.parse(ConfigCheckCommand);
    const [{ loadServerConfig }, { createDaemon }, { createGateway }] = await Promise.all([
      import("@wkfs/core/config"),
      import("@wkfs/core/daemon"),
      import("@wkfs/core/gateway"),
    ]);
    const file = serverConfigPath(flags.config);
    const config = await loadServerConfig(file);
    const { transport, firewall, store, notify, source } = config;
    const uses = [transport, ...firewall, store, ...notify].filter((use) => use !== undefined);
    const plugins = await loadPlugins(uses, source, this.config.dataDir);
    const halves: string[] = [];
    // A host may run one half only; a file with neither has nothing that could be right.
    if (firewall.length > 0 || store !== undefined || config.gateway === undefined) {
      await createDaemon({ config, plugins });
      halves.push("daemon");
    }
    if (config.gateway !== undefined) {
      await createGateway({ config, plugins });
      halves.push("gateway");
    }
    const names = plugins.map(({ name }) => name);
    this.log(`${file} is right for ${halves.join(" and ")}: ${names.join(", ")}`);
    return { config: file, halves, plugins: names };
  }
}
