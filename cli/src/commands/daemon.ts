import * as Flags from "@oclif/core/flags";
import { WkfsCommand } from "../command.ts";
import { serverConfigPath } from "../config-path.ts";
import { exitCodesHelp } from "../exit-codes.ts";
import { configFlag, logLevelFlag } from "../flags.ts";
import { loadPlugins } from "../plugins.ts";
import { runRole } from "../run-role.ts";
import { keepHeapSmall } from "../small-heap.ts";

export default class DaemonCommand extends WkfsCommand {
  static override summary = "Run the privileged half: it decides, writes the packet filter, remembers and tells.";
  static override description = `Runs in the foreground until SIGTERM or SIGINT, and logs on stderr. SIGHUP reads the configuration anew; leases stay. It needs CAP_NET_ADMIN, and CAP_NET_RAW for ipset, not root. \
When it stops, the protected ports stay closed; --detach opens them to the rules of the administrator again.

${exitCodesHelp("ok", "unexpected", "invalid", "unconfirmed")}`;
  static override examples = [
    { description: "Run with /etc/wkfs/wkfs.yaml", command: "<%= config.bin %> <%= command.id %>" },
    {
      description: "See whether the configuration and its plugins are right, without touching the host",
      command: "<%= config.bin %> <%= command.id %> --check --config ./wkfs.yaml",
    },
    {
      description: "Take everything of wkfs out of the packet filter",
      command: "<%= config.bin %> <%= command.id %> --detach",
    },
  ];
  static override flags = {
    config: configFlag("/etc/wkfs/wkfs.yaml"),
    check: Flags.boolean({ description: "Check configuration, secrets and plugins, and end.", exclusive: ["detach"] }),
    detach: Flags.boolean({ description: "Take chains, sets and leases out of the packet filter, and end." }),
    "log-level": logLevelFlag(),
  };

  async run(): Promise<object | undefined> {
    const { flags } = await this.parse(DaemonCommand);
    const [{ loadServerConfig }, { ReloadingDaemon, createDaemon }, { createLogger }] = await Promise.all([
      import("@wkfs/core/config"),
      import("@wkfs/core/daemon"),
      import("@wkfs/core/log"),
    ]);
    const file = serverConfigPath(flags.config);
    const load = async () => {
      const config = await loadServerConfig(file);
      const { transport, firewall, store, notify, source } = config;
      const uses = [transport, ...firewall, store, ...notify].filter((use) => use !== undefined);
      return { config, plugins: await loadPlugins(uses, source, this.config.dataDir) };
    };
    const log = createLogger({ name: "daemon", level: flags["log-level"] });
    if (!flags.check && !flags.detach) {
      const { announceDaemon } = await import("../rescue/running-daemon.ts");
      const forget = await announceDaemon((await loadServerConfig(file)).rescue, file, log);
      try {
        await runRole(async (signal) => {
          const daemon = await ReloadingDaemon.create({ load, log, signal });
          keepHeapSmall();
          return daemon;
        }, log);
      } finally {
        await forget();
      }
      return undefined;
    }
    const { config, plugins } = await load();
    const daemon = await createDaemon({ config, plugins, log });
    const firewalls = config.firewall.map(({ use }) => use);
    if (flags.check) {
      this.log(`${file} is right: ${plugins.map(({ name }) => name).join(", ")}`);
      return { config: file, plugins: plugins.map(({ name }) => name) };
    }
    await daemon.detach();
    this.log(`Taken out of the packet filter: ${firewalls.join(", ")}`);
    return { config: file, detached: firewalls };
  }
}
