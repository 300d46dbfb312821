import { WkfsCommand } from "../../command.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import type { Definition } from "../../service/definition.ts";
import { hiddenCode, requestOf, serviceFlags } from "../../service/request.ts";

export default class ServicePrintCommand extends WkfsCommand {
  static override summary = "Print the definitions of wkfs's services for a service manager.";
  static override description = `For a server they are made for its configuration: a service gets the rights that this needs and no others. Print them anew when it \
has another firewall, transport, store, listener or notifier. Changes nothing.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    {
      description: "The units of this server's daemon and gateway, and their users",
      command: "<%= config.bin %> <%= command.id %>",
    },
    {
      description: "A script for a host without systemd",
      command: "<%= config.bin %> <%= command.id %> --platform openrc --role daemon",
    },
    {
      description: "The client of a user of a Mac",
      command: "<%= config.bin %> <%= command.id %> --platform launchd",
    },
  ];
  static override flags = serviceFlags;

  async run(): Promise<{ readonly files: readonly Definition[] }> {
    const { flags } = await this.parse(ServicePrintCommand);
    const { serviceDefinitions } = await import("../../service/services.ts");
    const request = await requestOf(flags, this.config.dataDir);
    const files = await serviceDefinitions(request);
    const hidden = hiddenCode(request);
    if (hidden !== undefined)
      process.stderr.write(
        `Warning: the services' users will not see ${hidden}: install wkfs below /opt or /usr/local, or give --command.\n`,
      );
    // One file is printed as it is, so that it can be written where it belongs; of several each has its path above it.
    if (files.length === 1) process.stdout.write(this.jsonEnabled() ? "" : files[0]!.text);
    else for (const { path, text } of files) this.log(`# ${path}\n${text}`);
    return { files };
  }
}
