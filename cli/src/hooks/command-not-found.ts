import type { Hook } from "@oclif/core/hooks";
import { EXIT } from "../exit-codes.ts";
import { failureText } from "../failure.ts";

/** A command that is not there is told as every other error. */
const hook: Hook.CommandNotFound = async function commandNotFound({ id, config }) {
  const message = `there is no command "${config.bin} ${id.replaceAll(":", " ")}"`;
  process.stderr.write(`${failureText({ message, hint: `\`${config.bin} --help\` lists the commands.` })}\n`);
  this.exit(EXIT.invalid);
};
export default hook;
