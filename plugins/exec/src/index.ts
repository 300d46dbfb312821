import { API_VERSION, definePlugin } from "@wkfs/core";
import { configSchema } from "./config.ts";
import { ExecNotifier } from "./notifier.ts";
import { refuseUnrunnable } from "./program.ts";

// For the plugins that are made of this one.
export {
  type Ending,
  type ProgramOptions,
  commandSchema,
  programPath,
  refuseUnrunnable,
  runProgram,
} from "./program.ts";

/** Tells by starting a program of the administrator's, with a list of arguments and never through a shell. */
export default definePlugin({
  name: "exec",
  apiVersion: API_VERSION,
  kind: "notifier",
  configSchema,
  async create(config, context) {
    await refuseUnrunnable("exec", config.command);
    return new ExecNotifier(config, context);
  },
});
