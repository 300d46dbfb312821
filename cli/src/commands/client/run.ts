import * as Errors from "@oclif/core/errors";
import * as Flags from "@oclif/core/flags";
import { WkfsCommand } from "../../command.ts";
import { clientConfigPath } from "../../config-path.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { configFlag, durationFlag, portsFlag, portsOf } from "../../flags.ts";

export default class ClientRunCommand extends WkfsCommand {
  /** What comes on stdout is the program's. */
  static override enableJsonFlag = false;
  static override usage = "<%= command.id %> [-c FILE] [--tcp N...] [--udp N...] [--time TIME] [--no-close] -- CMD...";
  static override summary = "Run a program, and keep the ports open while it runs.";
  static override description = `Knocks, runs CMD with its arguments (no shell), renews the leases while it runs, and then asks the server to close them. \
CMD has this program's standard streams and gets its signals. When the ports cannot be opened, CMD is not run. Another \
\`<%= config.bin %> client\` of this host with the same ports has them again when it renews; --no-close spares it that.

The exit code is CMD's, 128 and the number of the signal that ended it, 127 when it is not found and 126 when it cannot be run. Before \
CMD has run:

${exitCodesHelp("unexpected", "invalid", "unreachable", "refused")}`;
  static override examples = [
    {
      description: "Fetch a backup through ports that are closed before and after",
      command: "<%= config.bin %> <%= command.id %> --tcp 22 -- rsync -a server.example.org:/srv/ ./srv/",
    },
    {
      description: "Several programs need a shell, which is named",
      command:
        "<%= config.bin %> <%= command.id %> --tcp 5432 -- sh -c 'pg_dump -h db.example.org app | gzip > app.gz'",
    },
  ];
  static override flags = {
    config: configFlag("$XDG_CONFIG_HOME/wkfs/client.yaml"),
    tcp: portsFlag("TCP port to keep open instead of the configured ones; may be given several times."),
    udp: portsFlag("UDP port to keep open instead of the configured ones; may be given several times."),
    time: durationFlag({ description: "Length of a lease, in seconds or as 90s, 10m, 2h; the server may allow less." }),
    close: Flags.boolean({
      default: true,
      allowNo: true,
      description: "Ask the server to close the ports at the end.",
    }),
  };

  async run(): Promise<void> {
    // What stands behind -- is the program's, to the letter; oclif would sort it.
    const at = this.argv.indexOf("--");
    const program = at === -1 ? [] : this.argv.slice(at + 1);
    const { flags } = await this.parse(ClientRunCommand, at === -1 ? this.argv : this.argv.slice(0, at));
    if (program.length === 0) throw new Errors.CLIError("Name the program to run, after --");
    const [{ createClient, loadClientConfig }, { giveBack, keepOpen, runProgram, troubleReport }, { openLines }] =
      await Promise.all([import("#client-side"), import("../../client/run.ts"), import("../../open-report.ts")]);
    const loaded = await loadClientConfig(clientConfigPath(flags.config));
    const config = { ...loaded, ports: portsOf(flags) ?? loaded.ports, maxTime: flags.time ?? loaded.maxTime };
    const tell = (line: string): void => void process.stderr.write(`${this.config.bin}: ${line}\n`);

    const make = () => createClient({ config });
    const client = await make();
    let latest = await keepOpen(client);
    if (latest.ports.some(({ opened }) => !opened)) for (const line of openLines(latest)) tell(line);
    client.on("event", troubleReport(tell));
    client.on("event", (event) => {
      if (event.type !== "failed") latest = event.result;
    });
    process.exitCode = await runProgram(program, tell);
    // No renewal may follow the closing.
    await client.stop();
    if (flags.close) await giveBack(make, latest, tell);
  }
}
