import * as Flags from "@oclif/core/flags";
import { WkfsCommand } from "../command.ts";
import { serverConfigPath } from "../config-path.ts";
import { exitCodesHelp } from "../exit-codes.ts";
import { configFlag, logLevelFlag } from "../flags.ts";
import { loadPlugins } from "../plugins.ts";
import { runRole } from "../run-role.ts";

export default class ServeCommand extends WkfsCommand {
  static override summary =
    "Run the gateway, the web half: it opens knocks, checks them and passes them to the daemon.";
  static override description = `Runs in the foreground until SIGTERM or SIGINT, and logs on stderr. SIGHUP reads keys and configuration anew. It needs no privilege: let it run as a user \
that may read the configuration, the keys and the transport's secret, and nothing else.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    { description: "Run with /etc/wkfs/wkfs.yaml", command: "<%= config.bin %> <%= command.id %>" },
    {
      description: "See whether the configuration, the keys and the transport are right, without listening",
      command: "<%= config.bin %> <%= command.id %> --check --config ./wkfs.yaml",
    },
  ];
  static override flags = {
    config: configFlag("/etc/wkfs/wkfs.yaml"),
    check: Flags.boolean({ description: "Check configuration, secrets and plugins, and end." }),
    "log-level": logLevelFlag(),
  };

  async run(): Promise<object | undefined> {
    const { flags } = await this.parse(ServeCommand);
    const [{ loadServerConfig }, { createGateway }, { createLogger }] = await Promise.all([
      import("@wkfs/core/config"),
      import("@wkfs/core/gateway"),
      import("@wkfs/core/log"),
    ]);
    const file = serverConfigPath(flags.config);
    const config = await loadServerConfig(file);
    const uses = config.transport === undefined ? [] : [config.transport];
    const plugins = await loadPlugins(uses, config.source, this.config.dataDir);
    const log = createLogger({ name: "gateway", level: flags["log-level"] });
    if (flags.check) {
      await createGateway({ config, plugins, log });
      this.log(`${file} is right: ${plugins.map(({ name }) => name).join(", ")}`);
      return { config: file, plugins: plugins.map(({ name }) => name) };
    }
    await runRole(async (signal) => {
      const gateway = await createGateway({ config, plugins, log, signal });
      return {
        start: () => gateway.start(),
        stopped: gateway.stopped,
        reload: async () => await gateway.reload(await loadServerConfig(file)),
        alive: async () => {},
      };
    }, log);
    return undefined;
  }
}
