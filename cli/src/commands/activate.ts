import * as Flags from "@oclif/core/flags";
import { WkfsCommand } from "../command.ts";
import { serverConfigPath } from "../config-path.ts";
import { exitCodesHelp } from "../exit-codes.ts";
import { configFlag, durationFlag } from "../flags.ts";

export default class ActivateCommand extends WkfsCommand {
  static override summary =
    "Put up the guard on probation: unless it is confirmed in time, everything is put back as it was.";
  static override description = `Checks the configuration, keeps a picture of the packet filter, arms a timer outside of daemon and session, and has both halves \
started where systemd runs them; elsewhere it says what to start. Three see to the end: the kernel, the daemon and that timer. A reboot ends a probation too. Connections that stand are not cut.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    {
      description: "With a minute to knock, to log in once more, and to confirm",
      command: "<%= config.bin %> <%= command.id %>",
    },
    {
      description: "With more time, and nothing but `wkfs confirm` confirms",
      command: "<%= config.bin %> <%= command.id %> --within 5m --confirm console",
    },
  ];
  static override flags = {
    config: configFlag("/etc/wkfs/wkfs.yaml"),
    within: durationFlag({
      default: 60,
      description: "How long there is to confirm, in seconds or as 90s, 5m; at most 1h.",
    }),
    confirm: Flags.option({ options: ["knock", "console"] as const })({
      default: "knock",
      description: "What confirms: a knock from another host that worked as well, or `wkfs confirm` alone.",
    }),
    "without-kernel-timer": Flags.boolean({
      description: "Go on where the packet filter cannot end its guard by itself, and only processes can.",
    }),
    start: Flags.boolean({
      default: true,
      allowNo: true,
      description: "Have systemd start both halves, where it has their units.",
    }),
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(ActivateCommand);
    const { activate, activationLines, refuseTime } = await import("../rescue/activate.ts");
    refuseTime(flags.within);
    const activated = await activate({
      configFile: serverConfigPath(flags.config),
      dataDir: this.config.dataDir,
      within: flags.within,
      confirmBy: flags.confirm,
      withoutKernelTimer: flags["without-kernel-timer"],
      start: flags.start,
    });
    for (const line of activationLines(activated)) this.log(line);
    return activated;
  }
}
