import type { Lease } from "@wkfs/core";
import { WkfsCommand } from "../command.ts";
import { exitCodesHelp } from "../exit-codes.ts";
import { byHand } from "../flags.ts";

export default class CloseCommand extends WkfsCommand {
  static override summary = "Close what is open for an address before its deadline.";
  static override description = `Without --tcp and --udp it closes all ports of the address. Connections that stand are not cut. Who holds keys can knock again.

${exitCodesHelp("ok", "unexpected", "invalid", "unreachable")}`;
  static override examples = [
    {
      description: "Everything of one address",
      command: "<%= config.bin %> <%= command.id %> 192.0.2.7",
    },
    {
      description: "One port",
      command: "<%= config.bin %> <%= command.id %> 192.0.2.7 --tcp 22",
    },
  ];
  static override args = byHand.args;
  static override flags = byHand.flags;

  async run(): Promise<{ readonly closed: readonly Lease[] }> {
    const { args, flags } = await this.parse(CloseCommand);
    const { closeByHand } = await import("../steer/by-hand.ts");
    const { closed, lines } = await closeByHand(flags, args.address);
    for (const line of lines) this.log(line);
    return { closed };
  }
}
