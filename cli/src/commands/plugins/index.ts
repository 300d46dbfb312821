import { WkfsCommand } from "../../command.ts";
import { serverConfigPath } from "../../config-path.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { configFlag } from "../../flags.ts";
import { printable } from "../../printable.ts";

export default class PluginsCommand extends WkfsCommand {
  static override summary = "List the plugins: contract, version, whether the configuration uses it, where from.";
  static override description = `Lists the bundled plugins, those that are installed, and those that the configuration uses and that are missing. On a terminal it is a table; into a pipe go lines \
of five columns parted by tabs, without a header.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    { description: "What there is, and what /etc/wkfs/wkfs.yaml uses", command: "<%= config.bin %> <%= command.id %>" },
    {
      description: "The names of the notifiers",
      command: "<%= config.bin %> <%= command.id %> | awk -F '\\t' '$2 == \"notifier\" { print $1 }'",
    },
    { description: "Everything about each, for a program", command: "<%= config.bin %> <%= command.id %> --json" },
  ];
  static override flags = { config: configFlag("/etc/wkfs/wkfs.yaml") };

  async run(): Promise<object> {
    const { flags } = await this.parse(PluginsCommand);
    const [{ pluginRows }, { usedByConfig }, { pluginTable }] = await Promise.all([
      import("../../plugin-install/rows.ts"),
      import("../../plugin-install/used-by-config.ts"),
      import("../../plugin-install/table.ts"),
    ]);
    const { uses, why } = await usedByConfig(serverConfigPath(flags.config), flags.config !== undefined);
    const rows = await pluginRows(this.config.dataDir, uses);
    for (const line of pluginTable(rows, process.stdout.isTTY)) this.log(line);
    if (why !== undefined) process.stderr.write(printable(`Note: what is used is not known: ${why.message}\n`));
    for (const { name, problem } of rows) {
      if (problem === undefined) continue;
      const hint = problem.hint ? `Hint: ${problem.hint}\n` : "";
      process.stderr.write(printable(`Warning: ${name}: ${problem.message}\n${hint}`));
    }
    return rows;
  }
}
