import * as Flags from "@oclif/core/flags";
import type { WkfsEvent } from "@wkfs/core";
import { WkfsCommand } from "../command.ts";
import { exitCodesHelp } from "../exit-codes.ts";
import { daemonFlags, sinceFlag } from "../flags.ts";

export default class HistoryCommand extends WkfsCommand {
  static override summary = "Show what happened: what was opened for whom, renewed, refused, ended, put right.";
  static override description = `From the store of the running daemon, the newest last.

${exitCodesHelp("ok", "unexpected", "invalid", "unreachable")}`;
  static override examples = [
    {
      description: "The last 50 events",
      command: "<%= config.bin %> <%= command.id %>",
    },
    {
      description: "Of the last day",
      command: "<%= config.bin %> <%= command.id %> --since 1d --limit 1000",
    },
    {
      description: "Since a moment, for a program",
      command: "<%= config.bin %> <%= command.id %> --since 2026-01-31T00:00:00Z --json",
    },
  ];
  static override flags = {
    ...daemonFlags,
    since: sinceFlag({ description: "A time such as 2026-01-31T00:00:00Z, or how long ago: 90s, 10m, 2h, 1d." }),
    limit: Flags.integer({
      helpValue: "N",
      default: 50,
      min: 1,
      max: 100_000,
      description: "Most events that are shown.",
    }),
  };

  async run(): Promise<readonly WkfsEvent[]> {
    const { flags } = await this.parse(HistoryCommand);
    const [{ readHistory }, { eventText }] = await Promise.all([
      import("../steer/history.ts"),
      import("../steer/words.ts"),
    ]);
    const events = await readHistory(flags);
    for (const event of events) this.log(eventText(event));
    return events;
  }
}
