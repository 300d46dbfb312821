import { Command } from "@oclif/core/command";
import * as Errors from "@oclif/core/errors";
import { failureJson, failureOf, failureText } from "./failure.ts";
import { printable } from "./printable.ts";

/**
 * What all commands share: `--json`, and how an error is told. The text goes to stderr in any case, so that
 * it is seen when stdout goes to a program; with `--json` stdout has `{ "error": { code, message, hint } }`.
 */
export abstract class WkfsCommand extends Command {
  static override enableJsonFlag = true;

  /** What is said may be somebody else's words. */
  override log(message = ""): void {
    super.log(printable(message));
  }

  /** A line with colours of ours; words of others in it are `printable` already. */
  protected logStyled(line: string): void {
    super.log(line);
  }

  protected override async catch(error: Error): Promise<never> {
    // The end of `--help` and of `this.exit()`.
    if (error instanceof Errors.ExitError) throw error;
    const failure = failureOf(error, `${this.config.bin} ${(this.id ?? "").replaceAll(":", " ")}`.trim());
    if (this.jsonEnabled()) this.logJson({ error: failureJson(failure) });
    process.stderr.write(`${failureText(failure)}\n`);
    if (process.env["DEBUG"]) process.stderr.write(`${printable(error.stack ?? "")}\n`);
    return this.exit(failure.exit);
  }
}
