import { join } from "node:path";
import { Config } from "@oclif/core/config";
import { WkfsError } from "@wkfs/core";

const WRITER = "@oclif/plugin-autocomplete";

export type Shell = "bash" | "zsh" | "powershell";

/** What a shell reads at its start, and where somebody writes that down. */
export interface Completion {
  readonly shell: Shell;
  /** The file that was written. */
  readonly file: string;
  /** The line that goes into the shell's own file. */
  readonly line: string;
  /** The shell's own file. */
  readonly startFile: string;
}

/**
 * Writes what the shells need to complete commands and flags. oclif's plugin does the writing; it is taken up here and not in
 * `oclif.plugins`, where reading it would cost every command 4 to 8 ms.
 */
export async function writeCompletion(config: Config, shell: Shell): Promise<Completion> {
  const { root, userPlugins } = config.options;
  const whole = await Config.load({ root, userPlugins: userPlugins ?? false, pluginAdditions: { core: [WRITER] } });
  const writer = whole.plugins.get(WRITER);
  if (writer === undefined) {
    throw new WkfsError("HOST_UNSUPPORTED", `the package ${WRITER} is not installed`, { hint: "Install wkfs anew." });
  }
  // Its commands are none of ours to complete.
  for (const command of writer.commands) command.hidden = true;
  await whole.runCommand("autocomplete:create");
  return completionOf(shell, join(whole.cacheDir, "autocomplete"), whole.bin);
}

function completionOf(shell: Shell, folder: string, bin: string): Completion {
  if (shell === "powershell") {
    const file = join(folder, "functions", "powershell", `${bin}.ps1`);
    return { shell, file, line: `if (Test-Path '${file}') { . '${file}' }`, startFile: "$PROFILE" };
  }
  const file = join(folder, `${shell}_setup`);
  // A cache may be emptied: a shell that starts then says nothing.
  return { shell, file, line: `test -f '${file}' && . '${file}'`, startFile: `~/.${shell}rc` };
}
