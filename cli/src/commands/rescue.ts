import * as Flags from "@oclif/core/flags";
import { WkfsCommand } from "../command.ts";
import { serverConfigPath } from "../config-path.ts";
import { EXIT, exitCodesHelp } from "../exit-codes.ts";
import { configFlag, stateDirFlag } from "../flags.ts";

export default class RescueCommand extends WkfsCommand {
  static override summary = "End the daemon, and put the packet filter back as it was before `wkfs activate`.";
  static override description = `Also with a broken configuration: it then goes by the one that was activated. No daemon guards afterwards until \`wkfs activate\`. It may be run again.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    { description: "Now, whether it was confirmed or not", command: "<%= config.bin %> <%= command.id %>" },
    {
      description: "What the timer of a probation runs",
      command: "<%= config.bin %> <%= command.id %> --if-unconfirmed",
    },
  ];
  static override flags = {
    config: configFlag("/etc/wkfs/wkfs.yaml"),
    "state-dir": stateDirFlag,
    "if-unconfirmed": Flags.boolean({ description: "Only where a probation is over and nobody confirmed it." }),
    activation: Flags.string({ hidden: true, dependsOn: ["if-unconfirmed"] }),
    after: Flags.integer({ hidden: true, min: 0, max: 7200, dependsOn: ["activation"] }),
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(RescueCommand);
    const { endActivation, isOverdue, siteOf, waitFor } = await import("../rescue/rescue.ts");
    const given = {
      configFile: serverConfigPath(flags.config),
      stateDir: flags["state-dir"],
      dataDir: this.config.dataDir,
    };
    const site = await siteOf(given);
    if (flags.activation !== undefined && flags.after !== undefined) {
      const { armedLine } = await import("../rescue/outside-timer.ts");
      this.log(armedLine(flags.activation));
      await waitFor(site, flags.activation, flags.after);
    }
    const overdue = flags["if-unconfirmed"] ? await isOverdue(site, flags.activation) : true;
    if (overdue !== true) {
      this.log(`Nothing to do: ${overdue}.`);
      return { down: false, reason: overdue };
    }
    const taken = await endActivation(site, "ended");
    for (const line of taken.lines) this.log(line);
    if (!taken.down) process.exitCode = EXIT.unexpected;
    return taken;
  }
}
