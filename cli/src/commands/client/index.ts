import { WkfsCommand } from "../../command.ts";
import { clientConfigPath } from "../../config-path.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { configFlag, durationFlag, portsFlag, portsOf } from "../../flags.ts";
import { failedLine, keepOpenReport } from "../../keep-open-report.ts";
import { stopSignal } from "../../signals.ts";

async function makeCountdown() {
  const { Countdown } = await import("../../client/countdown.ts");
  return new Countdown(process.stdout, failedLine);
}

export default class ClientCommand extends WkfsCommand {
  static override summary = "Knock, and keep the ports open until this program is ended.";
  static override description = `Renews the leases after a third of their time. When the server cannot be reached or refuses, it tries again with \
growing pauses. On a terminal one line shows what is open and how long still. In a pipe there is a line for each \
thing that happens: what was opened on stdout, what failed on stderr; with --json everything on stdout, as lines of JSON. Ends with SIGTERM or SIGINT; the ports then close on their own.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    {
      description: "Keep open what $XDG_CONFIG_HOME/wkfs/client.yaml says",
      command: "<%= config.bin %> <%= command.id %>",
    },
    {
      description: "For another server, with lines for a program",
      command: "<%= config.bin %> <%= command.id %> --config ./office.yaml --json",
    },
  ];
  static override flags = {
    config: configFlag("$XDG_CONFIG_HOME/wkfs/client.yaml"),
    tcp: portsFlag("TCP port to keep open instead of the configured ones; may be given several times."),
    udp: portsFlag("UDP port to keep open instead of the configured ones; may be given several times."),
    time: durationFlag({ description: "Length of a lease, in seconds or as 90s, 10m, 2h; the server may allow less." }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(ClientCommand);
    const { createClient, loadClientConfig } = await import("#client-side");
    const config = await loadClientConfig(clientConfigPath(flags.config));
    const ports = portsOf(flags) ?? config.ports;
    const maxTime = flags.time ?? config.maxTime;
    const client = await createClient({ config: { ...config, ports, maxTime }, signal: stopSignal() });
    const countdown = process.stdout.isTTY && !this.jsonEnabled() ? await makeCountdown() : undefined;
    client.on("event", countdown?.tell ?? keepOpenReport(this.jsonEnabled()));
    // It fails only when it is stopped before any port was open, and why none was has been told.
    await client.start().catch(() => {});
    await client.stopped;
    countdown?.stop();
  }
}
