import * as Flags from "@oclif/core/flags";
import { WkfsCommand } from "../command.ts";
import { exitCodesHelp } from "../exit-codes.ts";
import { daemonFlags } from "../flags.ts";

export default class EventsCommand extends WkfsCommand {
  static override summary = "Show events as they happen.";
  static override description = `Without --follow it shows the latest ten and ends; with it, it goes on until SIGINT or SIGTERM. With --json each event is a line of JSON.

${exitCodesHelp("ok", "unexpected", "invalid", "unreachable")}`;
  static override examples = [
    {
      description: "Follow them",
      command: "<%= config.bin %> <%= command.id %> --follow",
    },
    {
      description: "For a program",
      command: "<%= config.bin %> <%= command.id %> --follow --json",
    },
  ];
  static override flags = {
    ...daemonFlags,
    follow: Flags.boolean({ char: "f", description: "Go on, and show each as it happens." }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(EventsCommand);
    const { showEvents } = await import("../steer/events.ts");
    await showEvents(flags, this.jsonEnabled());
  }
}
