import * as Flags from "@oclif/core/flags";
import type { Finding } from "../doctor/finding.ts";
import { WkfsCommand } from "../command.ts";
import { serverConfigPath } from "../config-path.ts";
import { EXIT, exitCodesHelp } from "../exit-codes.ts";
import { configFlag } from "../flags.ts";

export default class DoctorCommand extends WkfsCommand {
  static override summary = "Look for what is wrong with a server, and say how to mend it.";
  static override description = `Looks at configuration, permissions, clock, daemon, gateway, certificate, kernel, the order of the rules, other firewalls, services, mail and store, as root at all of it. It changes nothing and opens nothing. Each finding is ok, a note, a warning or an error. On a terminal they are grouped; in a pipe each is a line whose columns are parted by tabs: check, level, what, how to mend it.

Ends with 0 when all is well, notes among it, and with 1 when there is a warning or an error.

${exitCodesHelp("ok", "unexpected", "invalid")}`;
  static override examples = [
    { description: "Look at this server", command: "<%= config.bin %> <%= command.id %>" },
    {
      description: "Knock at it as clients do as well, which opens nothing",
      command: "<%= config.bin %> <%= command.id %> --url https://www.example.org/8f3c0c5e",
    },
    { description: "What needs attention, for a program", command: "<%= config.bin %> <%= command.id %> --json" },
  ];
  static override flags = {
    config: configFlag("/etc/wkfs/wkfs.yaml"),
    url: Flags.url({
      helpValue: "URL",
      description: "Knock at this address with the server's own keys, without opening anything.",
    }),
    ca: Flags.string({
      helpValue: "FILE",
      description: "Certificates to trust for --url in place of the system's.",
      dependsOn: ["url"],
    }),
    "test-mail": Flags.boolean({ description: "Send a test mail by each smtp-email of the configuration." }),
  };

  async run(): Promise<{ readonly findings: readonly Finding[] }> {
    const { flags } = await this.parse(DoctorCommand);
    const { diagnose } = await import("../doctor/diagnose.ts");
    const wishes = { url: flags.url?.href, ca: flags.ca, testMail: flags["test-mail"] };
    const { findings, lines, well } = await diagnose(serverConfigPath(flags.config), this.config.dataDir, wishes);
    for (const line of lines) this.logStyled(line);
    if (!well) process.exitCode = EXIT.unexpected;
    return { findings };
  }
}
