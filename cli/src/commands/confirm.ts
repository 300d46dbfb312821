import { WkfsCommand } from "../command.ts";
import { serverConfigPath } from "../config-path.ts";
import { exitCodesHelp } from "../exit-codes.ts";
import { configFlag } from "../flags.ts";

export default class ConfirmCommand extends WkfsCommand {
  static override summary = "Confirm the guard that `wkfs activate` put up: it then stays.";
  static override description = `Type it after a knock and a NEW login worked. Asks the daemon, or writes it down where none can be asked.

${exitCodesHelp("ok", "unexpected", "invalid", "unconfirmed")}`;
  static override examples = [
    { description: "The guard of /etc/wkfs/wkfs.yaml", command: "<%= config.bin %> <%= command.id %>" },
  ];
  static override flags = { config: configFlag("/etc/wkfs/wkfs.yaml") };

  async run(): Promise<object> {
    const { flags } = await this.parse(ConfirmCommand);
    const { confirmGuard } = await import("../rescue/confirm.ts");
    const outcome = await confirmGuard(serverConfigPath(flags.config));
    this.log(outcome.line);
    return { confirmed: outcome.confirmed };
  }
}
