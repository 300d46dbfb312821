import { WkfsCommand } from "../command.ts";
import { exitCodesHelp } from "../exit-codes.ts";

export default class DemoCommand extends WkfsCommand {
  static override enableJsonFlag = false;
  static override summary = "Show the main job of wkfs on this host, and leave nothing behind.";
  static override description = `Makes a server and a client host as network namespaces, joined by a veth pair, and runs service, daemon, gateway and \
client on them: refused, knock, accepted, another address shut out, the deadline passes, shut again. Each step is \
checked; one that is not as told ends the demo with exit code 1. Runs as root, or as anybody where the kernel lets \
everybody make user namespaces. The packet filter of this host itself is not touched. Where iptables, ipset or \
namespaces are missing it says so, and tells the same story with the dry-run firewall. Ctrl-C ends it at any time.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    { description: "Half a minute, IPv4 and IPv6", command: "<%= config.bin %> <%= command.id %>" },
    { description: "Without colour", command: "NO_COLOR=1 <%= config.bin %> <%= command.id %>" },
    { description: "Into a file", command: "<%= config.bin %> <%= command.id %> > demo.txt" },
  ];

  async run(): Promise<void> {
    await this.parse(DemoCommand);
    const { runDemo } = await import("#demo");
    const exitCode = await runDemo();
    if (exitCode !== 0) this.exit(exitCode);
  }
}
