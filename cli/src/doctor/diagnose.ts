import { lookAround } from "../install/detect/host.ts";
import { type Wishes, checksOf, examine } from "./checkup.ts";
import { type Finding, isWell } from "./finding.ts";
import { admit } from "./patient.ts";
import { reportLines } from "./report.ts";
import { Waiting } from "./waiting.ts";

/** Looks at everything and says what was found: as data, as lines for stdout, and whether all is well. */
export async function diagnose(
  file: string,
  dataDir: string,
  wishes: Wishes,
): Promise<{ readonly findings: readonly Finding[]; readonly lines: readonly string[]; readonly well: boolean }> {
  using waiting = new Waiting(process.stderr);
  waiting.for(["plugins"]);
  const host = lookAround();
  // Without a configuration nobody asks for it.
  host.catch(() => {});
  const patient = await admit(file, dataDir);
  const findings = await examine(checksOf(patient, host, wishes), (names) => waiting.for(names));
  const terminal = process.stdout.isTTY;
  return {
    findings,
    lines: reportLines(findings, terminal, terminal && !process.env["NO_COLOR"]),
    well: isWell(findings),
  };
}
