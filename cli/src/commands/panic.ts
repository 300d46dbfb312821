import * as Flags from "@oclif/core/flags";
import { WkfsCommand } from "../command.ts";
import { serverConfigPath } from "../config-path.ts";
import { EXIT, exitCodesHelp } from "../exit-codes.ts";
import { configFlag, stateDirFlag } from "../flags.ts";

export default class PanicCommand extends WkfsCommand {
  static override summary = "Open the protected ports at once: take everything down, and keep it down.";
  static override description = `A daemon that the service manager starts again does not guard until \`wkfs panic --over\` or \`wkfs activate\`.

${exitCodesHelp("ok", "unexpected", "invalid", "unconfirmed")}`;
  static override examples = [
    { description: "Open", command: "<%= config.bin %> <%= command.id %>" },
    { description: "Let a daemon guard again", command: "<%= config.bin %> <%= command.id %> --over" },
  ];
  static override flags = {
    config: configFlag("/etc/wkfs/wkfs.yaml"),
    "state-dir": stateDirFlag,
    over: Flags.boolean({ description: "Go back to the guard that was confirmed before.", exclusive: ["state-dir"] }),
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(PanicCommand);
    const configFile = serverConfigPath(flags.config);
    const { dataDir } = this.config;
    if (flags.over) {
      const { panicOver } = await import("../rescue/panic.ts");
      const lines = await panicOver(configFile, dataDir);
      for (const line of lines) this.log(line);
      return { over: true };
    }
    const { endActivation, siteOf } = await import("../rescue/rescue.ts");
    const taken = await endActivation(await siteOf({ configFile, stateDir: flags["state-dir"], dataDir }), "panic");
    for (const line of taken.lines) this.log(line);
    if (!taken.down) process.exitCode = EXIT.unexpected;
    return taken;
  }
}
