import { resolve } from "node:path";
import * as Flags from "@oclif/core/flags";
import { WkfsCommand } from "../../command.ts";
import { SERVER_DIR } from "../../config-path.ts";
import { exitCodesHelp } from "../../exit-codes.ts";
import { durationFlag, portsFlag } from "../../flags.ts";
import type { ServerOutcome } from "../../install/server.ts";

const repeatable = { multiple: true, multipleNonGreedy: true } as const;

export default class InstallServerCommand extends WkfsCommand {
  static override summary =
    "Ask what to protect, show what that means here, and write a server's configuration and keys.";
  static override description = `Looks at this host first: what listens, which packet filter is used, and what its rules say about the ports. At a terminal it asks; \
every answer is a flag as well, and is then not asked for. Without a terminal, or with --yes, it asks nothing. It shows the plan, the files and the \
very transaction for the packet filter, and then writes wkfs.yaml, v1.json (the keys), what gateway and daemon share, and a folder client/ with what a client \
needs. It touches no packet filter: the daemon does.

A second run proposes what is configured now, shows what would change, and keeps keys, path and URL. A configuration that is there is only written anew with \
--force, or when a person at the terminal says so. Secrets are readable by their owner alone, or also by --group; they are never printed.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    { description: "Be asked", command: "<%= config.bin %> <%= command.id %>" },
    {
      description: "See what it would do, and do nothing",
      command: "<%= config.bin %> <%= command.id %> --tcp 22 --dry-run",
    },
    {
      description: "Protect SSH, PostgreSQL and OpenVPN; clients come by a web server",
      command:
        "<%= config.bin %> <%= command.id %> --tcp 22 --tcp 5432 --udp 1194 --behind nginx --url https://www.example.org/",
    },
    {
      description: "With a gateway that runs as group wkfs, and e-mail about what is opened",
      command:
        "<%= config.bin %> <%= command.id %> --tcp 22 --group wkfs --smtp-host mail.example.org --smtp-from wkfs@example.org --smtp-to ops@example.org --test-mail",
    },
    {
      description: "Look at it first, away from the system's folders and without a packet filter",
      command: "<%= config.bin %> <%= command.id %> --tcp 22 --dir ./try --state-dir ./try/state --firewall dry-run",
    },
  ];
  static override flags = {
    yes: Flags.boolean({ char: "y", description: "Ask nothing: what no flag says is as proposed." }),
    "dry-run": Flags.boolean({ description: "Show the plan, and end." }),
    dir: Flags.string({ helpValue: "DIR", default: SERVER_DIR, description: "Folder of the configuration." }),
    "state-dir": Flags.string({
      helpValue: "DIR",
      default: "/var/lib/wkfs",
      description: "Folder of what is remembered over restarts.",
    }),
    tcp: portsFlag("TCP port to protect; may be given several times."),
    udp: portsFlag("UDP port to protect; may be given several times."),
    "max-time": durationFlag({ description: "Longest lease, in seconds or as 90s, 10m, 2h (default: 600)." }),
    listen: Flags.string({
      helpValue: "ADDRESS",
      description: "Where the gateway listens: host:port, [v6]:port or unix:/path (default: 127.0.0.1:8080).",
    }),
    path: Flags.string({
      helpValue: "PATH",
      description: "Path of the URL (default: a fresh one that nobody can guess).",
    }),
    url: Flags.string({ helpValue: "URL", description: "URL that clients use (default: http://, listen and path)." }),
    behind: Flags.option({
      options: ["none", "nginx", "apache", "caddy"] as const,
      description: "Web server of this host that passes the path to the gateway: prints what it needs, and trusts it.",
    })(),
    "trusted-proxy": Flags.string({
      helpValue: "NETWORK",
      description: "Network whose X-Forwarded-For is believed (default: that of --behind).",
      ...repeatable,
    }),
    transport: Flags.option({
      options: ["unix-socket", "localhost-tcp"] as const,
      description: "How gateway and daemon speak (default: unix-socket in the system's folders, else localhost-tcp).",
    })(),
    "transport-port": Flags.integer({
      helpValue: "N",
      min: 1,
      max: 65_535,
      description: "Port of localhost-tcp (default: 33491).",
    }),
    control: Flags.string({
      helpValue: "PATH",
      description: "Control socket of the daemon, or none (default: /run/wkfs/control.sock).",
    }),
    firewall: Flags.option({
      options: ["nftables", "iptables", "ip6tables", "dry-run"] as const,
      ...repeatable,
      description: "Packet filter to write; may be given several times (default: by what this host has and uses).",
    })(),
    mode: Flags.option({
      options: ["guard", "allow"] as const,
      description: "guard closes the ports by itself; allow adds accepts to rules that close them (default: guard).",
    })(),
    parent: Flags.string({
      helpValue: "CHAIN",
      description:
        'Chain that ours is called from: INPUT for iptables; for nftables in mode allow, family, table and chain (default: INPUT, or "inet filter input").',
    }),
    position: Flags.integer({
      helpValue: "N",
      min: 1,
      description: "Place in that chain, in mode allow (default: 1).",
    }),
    chain: Flags.string({
      helpValue: "NAME",
      description: "Name of our chain; of nftables also that of our table (default: wkfs).",
    }),
    "take-out": Flags.string({
      helpValue: "RULE",
      description: "Rule of that chain that is out while wkfs runs, in mode allow; may be given several times.",
      ...repeatable,
    }),
    "take-out-accepting": Flags.boolean({
      description: "Take out every rule of that chain that accepts protected ports and nothing else, in mode allow.",
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
      ...repeatable,
      dependsOn: ["smtp-host"],
    }),
    "smtp-user": Flags.string({
      helpValue: "NAME",
      description: "Name to log in with.",
      dependsOn: ["smtp-host", "smtp-password-file"],
    }),
    "smtp-password-file": Flags.string({
      helpValue: "FILE",
      description: "File that holds the password, with mode 0600 or 0640.",
      dependsOn: ["smtp-user"],
    }),
    "webhook-url": Flags.string({ helpValue: "URL", description: "URL to tell what was opened." }),
    "webhook-url-file": Flags.string({
      helpValue: "FILE",
      description: "File that holds it, where the URL is a secret, as with Slack.",
      exclusive: ["webhook-url"],
    }),
    "webhook-format": Flags.option({
      options: ["json", "slack", "discord", "teams", "ntfy"] as const,
      description: "What the other side understands (default: json).",
    })(),
    syslog: Flags.string({
      helpValue: "TO",
      description: "Tell the system's log: /dev/log, journald, or udp://, tcp://, tls:// and a host.",
    }),
    "test-mail": Flags.boolean({ description: "Send a test message by each notifier when all is written." }),
    group: Flags.string({ helpValue: "NAME", description: "Group that may read the configuration and its secrets." }),
    force: Flags.boolean({ description: "Write the configuration anew; keys, path and URL stay." }),
    "force-new-keys": Flags.boolean({ description: "Make new keys and a new secret: every client needs them then." }),
  };

  async run(): Promise<ServerOutcome> {
    const { flags } = await this.parse(InstallServerCommand);
    const [{ runInstallation }, { notifiersOf }] = await Promise.all([
      import("../../install/server.ts"),
      import("../../install/notifiers.ts"),
    ]);
    return await runInstallation({
      wish: {
        folder: resolve(flags.dir),
        stateDir: resolve(flags["state-dir"]),
        tcp: flags.tcp && [...new Set(flags.tcp)],
        udp: flags.udp && [...new Set(flags.udp)],
        maxTime: flags["max-time"],
        listen: flags.listen,
        path: flags.path,
        url: flags.url,
        behind: flags.behind,
        trustedProxies: flags["trusted-proxy"],
        transport: flags.transport,
        transportPort: flags["transport-port"],
        firewall: { uses: flags.firewall, mode: flags.mode, parent: flags.parent, chain: flags.chain },
        position: flags.position,
        takeOut: flags["take-out"],
        takeOutAccepting: flags["take-out-accepting"],
        notify: notifiersOf(flags),
        control: flags.control,
        group: flags.group,
      },
      ask: process.stdin.isTTY && process.stdout.isTTY && !flags.yes && !this.jsonEnabled(),
      terminal: process.stdout.isTTY,
      yes: flags.yes,
      dryRun: flags["dry-run"],
      test: flags["test-mail"],
      force: flags.force,
      newKeys: flags["force-new-keys"],
      dataDir: this.config.dataDir,
      runCommand: (id, words) => this.config.runCommand(id, words),
      say: (line) => this.log(line),
    });
  }
}
