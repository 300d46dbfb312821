import { dirname, resolve } from "node:path";
import * as Flags from "@oclif/core/flags";
import { WkfsError } from "@wkfs/core";
import { WkfsCommand } from "../../command.ts";
import { clientDir, serverConfigPath } from "../../config-path.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import type { ServicesInstalled } from "../../service/install-services.ts";
import { hiddenCode, requestOf, serviceFlags } from "../../service/request.ts";

export default class ServiceInstallCommand extends WkfsCommand {
  static override summary =
    "Write the definitions of wkfs's services to where they belong, and make their users. Starts nothing.";
  static override description = `What \`<%= config.bin %> service print\` prints. Remembers what it wrote in installed-files.json beside the configuration, so that it can be \
taken away exactly. Files that it wrote itself are written anew; others are left alone without --force. Where systemd runs it makes the users of a server, lets the gateway's \
read the configuration and has systemd load the units; elsewhere it says what is to be done. The guard goes up by \`<%= config.bin %> activate\`.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    {
      description: "The units of this server",
      command: "<%= config.bin %> <%= command.id %>",
    },
    {
      description: "A user's client, kept running by systemd",
      command: "<%= config.bin %> <%= command.id %> --role client",
    },
  ];
  static override flags = {
    ...serviceFlags,
    root: Flags.string({
      helpValue: "DIR",
      default: "",
      description: "Put before every path that is written, for an image.",
    }),
    force: Flags.boolean({ description: "Replace files that somebody else wrote or changed." }),
  };

  async run(): Promise<ServicesInstalled> {
    const { flags } = await this.parse(ServiceInstallCommand);
    const { installServices } = await import("../../service/install-services.ts");
    const request = await requestOf(flags, this.config.dataDir);
    const hidden = hiddenCode(request);
    if (hidden !== undefined) {
      throw new WkfsError("CONFIG_INVALID", `the services' users will not see ${hidden}`, {
        hint: "Install wkfs below /opt or /usr/local, or give --command with where it is for them.",
      });
    }
    const installed = await installServices({
      ...request,
      folder: request.role === "client" ? clientDir() : dirname(resolve(serverConfigPath(flags.config))),
      root: flags.root && resolve(flags.root),
      force: flags.force,
    });
    for (const path of installed.written) this.log(`wrote ${path}`);
    for (const path of installed.unchanged) this.log(`as it was: ${path}`);
    for (const line of installed.ran) this.log(`ran ${line}`);
    this.log(["", "Then:", ...installed.next.map((line) => `  ${line}`)].join("\n"));
    return installed;
  }
}
