import { join, resolve } from "node:path";
import * as Errors from "@oclif/core/errors";
import * as Flags from "@oclif/core/flags";
import type { ServerInfo } from "@wkfs/core/client";
import { WkfsCommand } from "../../command.ts";
import { CLIENT_FILE, clientDir } from "../../config-path.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { durationFlag, portsFlag, portsOf } from "../../flags.ts";
import type { ClientFiles } from "../../install/client-config.ts";
import type { ClientSource } from "../../install/install-client.ts";

export default class ClientInstallCommand extends WkfsCommand {
  static override summary = "Write this client's configuration, from what the server printed.";
  static override description = `Asks on a terminal; every answer is a flag as well, and with --from, or with --url and --keys, nothing is asked. Writes \
client.yaml and the keys, readable by their owner alone, and reads both back. What --from is given may be the block that \
\`<%= config.bin %> client export\` prints on the server, or the config.dat of a PHP client; it is left as it is.

${exitCodesHelp("ok", "unexpected", "invalid", "unreachable", "refused")}`;
  static override examples = [
    { description: "Be asked", command: "<%= config.bin %> <%= command.id %>" },
    {
      description: "Take the block from the server, and see whether it works",
      command: "ssh root@server.example.org wkfs client export | <%= config.bin %> <%= command.id %> --from - --check",
    },
    {
      description: "Take over what a PHP client was installed with",
      command: "<%= config.bin %> <%= command.id %> --from /opt/webknocker/config.dat",
    },
    {
      description: "From a URL and a key file; ask for SSH only, half an hour at most",
      command:
        "<%= config.bin %> <%= command.id %> --url https://www.example.org/8f3c0c5e --keys ./v1.json --tcp 22 --max-time 30m",
    },
  ];
  static override flags = {
    from: Flags.string({
      helpValue: "FILE",
      description: "The server's block, or a PHP client's config.dat; - reads standard input.",
      exclusive: ["url", "keys"],
    }),
    url: Flags.string({ helpValue: "URL", description: "URL of the gateway.", dependsOn: ["keys"] }),
    keys: Flags.string({ helpValue: "FILE", description: "Key file of the server (v1.json).", dependsOn: ["url"] }),
    dir: Flags.string({ helpValue: "DIR", description: "Folder to write to (default: $XDG_CONFIG_HOME/wkfs)." }),
    tcp: portsFlag("TCP port to ask for; may be given several times (default: all that is offered)."),
    udp: portsFlag("UDP port to ask for; may be given several times (default: all that is offered)."),
    "max-time": durationFlag({ description: "How long to ask for, in seconds or as 90s, 10m, 2h." }),
    check: Flags.boolean({ description: "Ask the server afterwards what it offers. Opens nothing." }),
    force: Flags.boolean({ description: "Overwrite a configuration that is there." }),
    yes: Flags.boolean({ char: "y", description: "Ask nothing." }),
  };

  async run(): Promise<ClientFiles & { readonly server?: ServerInfo }> {
    const { flags } = await this.parse(ClientInstallCommand);
    const folder = resolve(flags.dir ?? clientDir());
    const { installClient, isThere } = await import("../../install/install-client.ts");
    const given = sourceOf(flags);
    let { force, check } = flags;
    let ports = portsOf(flags);
    let source = given;
    if (source === undefined) {
      const askable = process.stdin.isTTY && process.stdout.isTTY && !flags.yes && !this.jsonEnabled();
      if (!askable) throw new Errors.CLIError("Name what the server printed with --from, or give --url and --keys");
      const { askClient } = await import("../../install/ask-client.ts");
      const file = join(folder, CLIENT_FILE);
      const answers = await askClient(!force && (await isThere(file)) ? file : undefined);
      source = answers.source;
      force ||= answers.force;
      check ||= answers.check;
      ports ??= portsOf(answers);
    }
    const { files, warning } = await installClient(source, {
      folder,
      ...(ports && { ports }),
      maxTime: flags["max-time"],
      replace: force,
    });
    if (warning !== undefined) process.stderr.write(`${warning}\n`);
    this.log(`configuration  ${files.config}\nkeys           ${files.keys}`);
    if (!check) return files;
    const { createClient, loadClientConfig } = await import("#client-side");
    const server = await (await createClient({ config: await loadClientConfig(files.config) })).info();
    this.log(
      `the server offers tcp ${server.tcp.join(", ") || "none"}, udp ${server.udp.join(", ") || "none"} to ${server.ip}`,
    );
    return { ...files, server };
  }
}

interface SourceFlags {
  readonly from?: string | undefined;
  readonly url?: string | undefined;
  readonly keys?: string | undefined;
}

function sourceOf({ from, url, keys }: SourceFlags): ClientSource | undefined {
  if (from === "-") return { input: process.stdin };
  if (from !== undefined) return { file: from };
  return url === undefined || keys === undefined ? undefined : { url, keys };
}
