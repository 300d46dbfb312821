import type { KnockOutcome } from "@wkfs/core";
import { WkfsCommand } from "../command.ts";
import { exitCodesHelp } from "../exit-codes.ts";
import { byHand, durationFlag } from "../flags.ts";

export default class OpenCommand extends WkfsCommand {
  static override summary = "Open protected ports for an address by hand, without a knock.";
  static override description = `It is a lease as any other: it ends by itself, for no longer than protect.maxTime, and is told and written down under the name @hand.

${exitCodesHelp("ok", "unexpected", "invalid", "unreachable", "refused", "partly")}`;
  static override examples = [
    {
      description: "SSH for ten minutes",
      command: "<%= config.bin %> <%= command.id %> 192.0.2.7 --tcp 22 --time 10m",
    },
    {
      description: "Several ports",
      command: "<%= config.bin %> <%= command.id %> 2001:db8::7 --tcp 22,5432 --udp 1194",
    },
  ];
  static override args = byHand.args;
  static override flags = {
    ...byHand.flags,
    time: durationFlag({
      default: 600,
      description: "How long, in seconds or as 90s, 10m, 2h; no longer than protect.maxTime.",
    }),
  };

  async run(): Promise<KnockOutcome> {
    const { args, flags } = await this.parse(OpenCommand);
    const { openByHand } = await import("../steer/by-hand.ts");
    const { outcome, lines, exit } = await openByHand(flags, args.address);
    for (const line of lines) this.log(line);
    process.exitCode = exit;
    return outcome;
  }
}
