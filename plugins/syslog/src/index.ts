import { readFile } from "node:fs/promises";
import { API_VERSION, WkfsError, definePlugin, messageOf } from "@wkfs/core";
import { refuseUnrunnable } from "@wkfs/exec";
import { configSchema } from "./config.ts";
import { SyslogNotifier } from "./notifier.ts";

/** Where journald listens, on every host that has it; logger(1) knows no other. */
const JOURNAL = "/run/systemd/journal/socket";

/** Tells the log of the host, or of another host. */
export default definePlugin({
  name: "syslog",
  apiVersion: API_VERSION,
  kind: "notifier",
  configSchema,
  async create(config, context) {
    const { to, logger, ca } = config;
    if (to.kind === "journald" || to.kind === "socket") await refuseUnrunnable("syslog", [logger]);
    return new SyslogNotifier(
      config,
      { ca: ca === undefined ? undefined : await certificatesIn(ca), journal: JOURNAL },
      context,
    );
  },
});

async function certificatesIn(path: string): Promise<string> {
  const hint = "Name a file of PEM certificates in `ca` of syslog.";
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw new WkfsError("CONFIG_INVALID", `syslog: cannot read the certificates ${path}: ${messageOf(error)}`, {
      hint,
    });
  });
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new WkfsError("CONFIG_INVALID", `syslog: there is no certificate in ${path}`, { hint });
}
