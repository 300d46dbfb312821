import * as Args from "@oclif/core/args";
import { WkfsCommand } from "../command.ts";
import type { Completion, Shell } from "../completion/completion.ts";
import { exitCodesHelp } from "../exit-codes.ts";

export default class AutocompleteCommand extends WkfsCommand {
  static override summary = "Let a shell complete commands and flags.";
  static override description = `Writes the completion into the cache folder, and on stdout the line that goes into the shell's own file. The shell then \
completes by itself and starts no wkfs for it. Run it again, without adding the line again, after an update.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    {
      description: "For bash, from the next shell on",
      command: "<%= config.bin %> <%= command.id %> bash >> ~/.bashrc",
    },
    {
      description: "For zsh",
      command: "<%= config.bin %> <%= command.id %> zsh >> ~/.zshrc",
    },
    {
      description: "Write it anew after an update",
      command: "<%= config.bin %> <%= command.id %> bash > /dev/null",
    },
  ];
  static override args = {
    shell: Args.string({
      description: "The shell.",
      required: true,
      options: ["bash", "zsh", "powershell"] satisfies Shell[],
    }),
  };

  async run(): Promise<Completion> {
    const { args } = await this.parse(AutocompleteCommand);
    const { writeCompletion } = await import("../completion/completion.ts");
    const written = await writeCompletion(this.config, args.shell as Shell);
    this.log(written.line);
    if (process.stdout.isTTY) process.stderr.write(`Add this line to ${written.startFile}.\n`);
    return written;
  }
}
