import { resolve } from "node:path";
import * as Flags from "@oclif/core/flags";
import { WkfsCommand } from "../../command.ts";
import { SERVER_DIR } from "../../config-path.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { durationFlag, portsFlag } from "../../flags.ts";
import type { ServerInstalled } from "../../install/server-config.ts";

export default class InstallServerCommand extends WkfsCommand {
  static override summary = "Write a server's configuration, with fresh random keys.";
  static override description = `Asks nothing: everything is a flag. Writes wkfs.yaml, v1.json (the keys), transport.secret and a folder client/ with what \
a client needs; touches no packet filter. Keys that are there are kept, and no configuration is overwritten without \
--force. Secrets are readable by their owner alone, or also by --group; they are never printed.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    {
      description: "Protect SSH, PostgreSQL and OpenVPN; clients come by a web server",
      command:
        "<%= config.bin %> <%= command.id %> --tcp 22 --tcp 5432 --udp 1194 --path /8f3c0c5e --url https://www.example.org/8f3c0c5e",
    },
    {
      description: "With a gateway that runs as group wkfs, and e-mail about what is opened",
      command:
        "<%= config.bin %> <%= command.id %> --tcp 22 --group wkfs --smtp-host mail.example.org --smtp-from wkfs@example.org --smtp-to ops@example.org",
    },
    {
      description: "Look at it first, away from the system's folders and without a packet filter",
      command: "<%= config.bin %> <%= command.id %> --tcp 22 --dir ./try --state-dir ./try/state --firewall dry-run",
    },
  ];
  static override flags = {
    dir: Flags.string({ helpValue: "DIR", default: SERVER_DIR, description: "Folder of the configuration." }),
    "state-dir": Flags.string({
      helpValue: "DIR",
      default: "/var/lib/wkfs",
      description: "Folder of what is remembered over restarts.",
    }),
    tcp: portsFlag("TCP port to protect; may be given several times."),
    udp: portsFlag("UDP port to protect; may be given several times."),
    "max-time": durationFlag({ default: 600, description: "Longest lease, in seconds or as 90s, 10m, 2h." }),
    listen: Flags.string({
      helpValue: "ADDRESS",
      default: "127.0.0.1:8080",
      description: "Where the gateway listens: host:port, [v6]:port or unix:/path.",
    }),
    path: Flags.string({
      helpValue: "PATH",
      description: "Path of the URL (default: a fresh one that nobody can guess).",
    }),
    url: Flags.string({ helpValue: "URL", description: "URL that clients use (default: http://, listen and path)." }),
    "transport-port": Flags.integer({
      helpValue: "N",
      default: 33_491,
      min: 1,
      max: 65_535,
      description: "Port between gateway and daemon.",
    }),
    firewall: Flags.option({
      options: ["nftables", "iptables", "ip6tables", "dry-run"] as const,
      multiple: true,
      multipleNonGreedy: true,
      description:
        "Packet filter to write; may be given several times (default: nftables where nft is installed, else iptables and ip6tables).",
    })(),
    mode: Flags.option({
      options: ["guard", "allow"] as const,
      default: "guard",
      description: "guard closes the ports by itself; allow adds accepts to rules that close them.",
    })(),
    parent: Flags.string({
      helpValue: "CHAIN",
      description:
        'Chain that ours is called from: INPUT for iptables; for nftables in mode allow, family, table and chain (default: INPUT, or "inet filter input").',
    }),
    chain: Flags.string({
      helpValue: "NAME",
      description: "Name of our chain; of nftables also that of our table (default: wkfs).",
    }),
    "smtp-host": Flags.string({
      helpValue: "HOST",
      description: "Mail server to tell by what was opened.",
      dependsOn: ["smtp-from", "smtp-to"],
    }),
    "smtp-port": Flags.integer({ helpValue: "N", default: 587, min: 1, max: 65_535, description: "Its port." }),
    "smtp-from": Flags.string({ helpValue: "ADDRESS", description: "Sender.", dependsOn: ["smtp-host"] }),
    "smtp-to": Flags.string({
      helpValue: "ADDRESS",
      description: "Receiver; may be given several times.",
      multiple: true,
      multipleNonGreedy: true,
      dependsOn: ["smtp-host"],
    }),
    group: Flags.string({ helpValue: "NAME", description: "Group that may read the configuration and its secrets." }),
    force: Flags.boolean({ description: "Write the configuration anew; keys and path stay." }),
    "force-new-keys": Flags.boolean({ description: "Make new keys and a new secret: every client needs them then." }),
  };

  async run(): Promise<ServerInstalled> {
    const { flags } = await this.parse(InstallServerCommand);
    const [{ installServer }, { groupId }, { nextSteps }, { proposedFirewalls }] = await Promise.all([
      import("../../install/server-config.ts"),
      import("@wkfs/core/host"),
      import("../../install/next-steps.ts"),
      import("../../install/proposed-firewalls.ts"),
    ]);
    const { "smtp-host": host, "smtp-from": from = "", "smtp-to": to = [] } = flags;
    const installed = await installServer({
      folder: resolve(flags.dir),
      stateDir: resolve(flags["state-dir"]),
      path: flags.path,
      url: flags.url,
      settings: {
        tcp: [...new Set(flags.tcp)],
        udp: [...new Set(flags.udp)],
        maxTime: flags["max-time"],
        listen: flags.listen,
        transportPort: flags["transport-port"],
        firewalls:
          flags.firewall ??
          proposedFirewalls({ mode: flags.mode, chainNamed: (flags.parent ?? flags.chain) !== undefined }),
        mode: flags.mode,
        parent: flags.parent,
        chain: flags.chain,
        mail: host === undefined ? undefined : { host, port: flags["smtp-port"], from, to },
      },
      gid: flags.group === undefined ? undefined : await groupId(flags.group),
      force: flags.force,
      newKeys: flags["force-new-keys"],
    });
    for (const line of nextSteps(installed, resolve(flags.dir) !== SERVER_DIR)) this.log(line);
    return installed;
  }
}
