import * as Flags from "@oclif/core/flags";
import { WkfsCommand } from "../command.ts";
import { serverConfigPath } from "../config-path.ts";
import { EXIT, exitCodesHelp } from "../exit-codes.ts";
import { configFlag, stateDirFlag } from "../flags.ts";

export default class UninstallCommand extends WkfsCommand {
  static override summary = "Take the guard down, put the packet filter back as it was, and remove the units.";
  static override description = `Configuration, keys and data stay unless --purge is given, or the question at a terminal is answered with yes.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    { description: "Keep configuration, keys and data", command: "<%= config.bin %> <%= command.id %> --no-purge" },
    { description: "Leave nothing", command: "<%= config.bin %> <%= command.id %> --purge" },
  ];
  static override flags = {
    config: configFlag("/etc/wkfs/wkfs.yaml"),
    "state-dir": stateDirFlag,
    purge: Flags.boolean({ allowNo: true, description: "Remove configuration, keys and data as well." }),
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(UninstallCommand);
    const [{ siteOf }, { uninstall, askWhetherToPurge }] = await Promise.all([
      import("../rescue/rescue.ts"),
      import("../rescue/uninstall.ts"),
    ]);
    const given = {
      configFile: serverConfigPath(flags.config),
      stateDir: flags["state-dir"],
      dataDir: this.config.dataDir,
    };
    const site = await siteOf(given);
    const purge = flags.purge ?? (!this.jsonEnabled() && (await askWhetherToPurge(site)));
    const { whole, lines } = await uninstall(site, purge);
    for (const line of lines) this.log(line);
    if (!whole) process.exitCode = EXIT.unexpected;
    return { whole, lines };
  }
}
