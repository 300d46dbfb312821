import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { API_VERSION, WkfsError, definePlugin, messageOf } from "@wkfs/core";
import { configSchema } from "./config.ts";
import { ExecNotifier } from "./notifier.ts";

/** Tells by starting a program of the administrator's, with a list of arguments and never through a shell. */
export default definePlugin({
  name: "exec",
  apiVersion: API_VERSION,
  kind: "notifier",
  configSchema,
  async create(config, context) {
    const [program] = config.command as [string];
    await access(program, constants.X_OK).catch((error: unknown) => {
      throw new WkfsError("CONFIG_INVALID", `exec: ${program} cannot be run: ${messageOf(error)}`, {
        hint: "Give the full path of a program in `command`, and make it executable.",
      });
    });
    return new ExecNotifier(config, context);
  },
});
