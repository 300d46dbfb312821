import { API_VERSION, definePlugin } from "@wkfs/core";
import { refuseUnrunnable } from "@wkfs/exec";
import { configSchema } from "./config.ts";
import { ExecFirewall } from "./firewall.ts";

// What the command reads and writes, for tests of commands.
export { checkSchema, stateSchema } from "./messages.ts";

/** A packet filter that a command of the administrator's writes: a router, a security group of a cloud. */
export default definePlugin({
  name: "exec-firewall",
  apiVersion: API_VERSION,
  kind: "firewall",
  configSchema,
  async create(config, context) {
    await refuseUnrunnable("exec-firewall", config.command);
    return new ExecFirewall(config, context);
  },
});
