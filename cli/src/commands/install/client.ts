import { resolve } from "node:path";
import * as Flags from "@oclif/core/flags";
import { WkfsCommand } from "../../command.ts";
import { clientDir } from "../../config-path.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { durationFlag, portsFlag } from "../../flags.ts";
import type { ClientFiles } from "../../install/client-config.ts";

export default class InstallClientCommand extends WkfsCommand {
  static override summary = "Write a client's configuration, from the URL and the keys of a server.";
  static override description = `Writes client.yaml and a copy of the keys, readable by their owner alone, and reads both back.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    {
      description: "Take what `wkfs install server` printed",
      command: "<%= config.bin %> <%= command.id %> --url https://www.example.org/8f3c0c5e --keys ./v1.json",
    },
    {
      description: "Ask for SSH only, half an hour at most",
      command:
        "<%= config.bin %> <%= command.id %> --url https://www.example.org/8f3c0c5e --keys ./v1.json --tcp 22 --max-time 30m",
    },
  ];
  static override flags = {
    url: Flags.string({ helpValue: "URL", required: true, description: "URL of the gateway." }),
    keys: Flags.string({ helpValue: "FILE", required: true, description: "Key file of the server (v1.json)." }),
    dir: Flags.string({ helpValue: "DIR", description: "Folder to write to (default: $XDG_CONFIG_HOME/wkfs)." }),
    tcp: portsFlag("TCP port to ask for; may be given several times (default: all that is offered)."),
    udp: portsFlag("UDP port to ask for; may be given several times (default: all that is offered)."),
    "max-time": durationFlag({ description: "How long to ask for, in seconds or as 90s, 10m, 2h." }),
    force: Flags.boolean({ description: "Overwrite a configuration that is there." }),
  };

  async run(): Promise<ClientFiles> {
    const { flags } = await this.parse(InstallClientCommand);
    const { exposedWarning, readBrought, writeClientConfig } = await import("../../install/client-config.ts");
    const { text, exposed } = await readBrought(flags.keys);
    const { url, tcp, udp, "max-time": maxTime } = flags;
    const written = await writeClientConfig(resolve(flags.dir ?? clientDir()), { url, tcp, udp, maxTime }, text, {
      origin: flags.keys,
      replace: flags.force,
    });
    const warning = exposedWarning(flags.keys, exposed);
    if (warning !== undefined) process.stderr.write(`${warning}\n`);
    this.log(`configuration  ${written.config}\nkeys           ${written.keys}`);
    return written;
  }
}
