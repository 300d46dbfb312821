import type { ServerAnswers, WebServer } from "./answers.ts";
import { plannedText } from "./planned-text.ts";
import type { Host } from "./detect/host.ts";
import type { Listener } from "./detect/listeners.ts";
import { diffLines } from "./diff.ts";
import type { Finding } from "./finding.ts";
import type { Former } from "./former.ts";
import { parentName } from "./firewall-place.ts";
import type { ServerLayout } from "./server-config.ts";
import { type Snippet, reachedDirectly, snippetFor } from "./snippets.ts";
import type { Rehearsed } from "./transactions.ts";
import { rows } from "../table.ts";

/** Everything that would happen, before it does. */
export interface Plan {
  readonly answers: ServerAnswers;
  readonly because: string;
  readonly findings: readonly Finding[];
  readonly files: readonly PlannedFile[];
  /** The text of the configuration, and the lines that differ from the one that is there. */
  readonly configuration: string;
  readonly changes: readonly string[] | undefined;
  readonly transactions: readonly Rehearsed[];
  readonly snippet: Snippet | undefined;
}

interface PlannedFile {
  readonly path: string;
  readonly what: "new" | "changed" | "unchanged" | "kept";
}

export function makePlan(
  parts: Pick<Plan, "answers" | "because" | "findings" | "transactions">,
  layout: ServerLayout & { readonly url: string },
  former: Former | undefined,
  behind: WebServer | undefined,
): Plan {
  const { answers } = parts;
  const configuration = plannedText(answers, layout, former);
  const changes = former === undefined ? undefined : diffLines(former.text, configuration);
  const sameForClients =
    layout.keysAre === "old" && former?.answers.url !== undefined && layout.url === former.answers.url;
  const fresh = { new: "new", old: "kept" } as const;
  const secret = layout.secret === undefined ? [] : [{ path: layout.secret, what: fresh[layout.secretIs] }];
  return {
    ...parts,
    configuration,
    changes,
    snippet: behind && snippetFor(behind, answers.listen, answers.path),
    files: [
      { path: layout.config, what: former === undefined ? "new" : changes?.length === 0 ? "unchanged" : "changed" },
      { path: layout.keys, what: fresh[layout.keysAre] },
      ...secret,
      { path: layout.clientFolder, what: former === undefined ? "new" : sameForClients ? "unchanged" : "changed" },
    ],
  };
}

/** What listens on this host, as a table. */
function listenerLines(listeners: readonly Listener[], terminal: boolean): string[] {
  const cells = listeners.map(({ protocol, port, programs, addresses, local }) => [
    `${protocol}/${port}`,
    programs.join(", ") || "?",
    `${addresses.join(", ")}${local ? "  (this host alone)" : ""}`,
  ]);
  return rows(["PORT", "PROGRAM", "LISTENS ON"], cells, terminal);
}

/** The plan for people. */
export function planLines({ listeners }: Host, plan: Plan, terminal: boolean): string[] {
  const { answers, because, findings, files, configuration, changes, transactions, snippet } = plan;
  return [
    "Listening on this host:",
    ...indented(listeners.length === 0 ? ["nothing that can be seen"] : listenerLines(listeners, terminal)),
    "",
    "Plan:",
    `  protect    ${portsLine(answers)}, for at most ${answers.maxTime} s after a knock`,
    `  firewall   ${answers.firewalls.map(firewallWords).join(", ")} (${because})`,
    `  gateway    ${answers.listen}${answers.path}${reachedDirectly(answers.listen) ? ", reached directly" : ""}`,
    `  transport  ${answers.transport.use}`,
    `  notify     ${answers.notify.map(({ use }) => use).join(", ") || "nobody"}`,
    `  control    ${answers.control?.path ?? "none"}`,
    "",
    ...(findings.length === 0 ? [] : ["What this host says:", ...findings.map(findingLine), ""]),
    "Files:",
    ...files.map(({ path, what }) => `  ${what.padEnd(9)}  ${path}`),
    "",
    ...(changes === undefined ? ["Configuration:", ...indented(configuration.trimEnd().split("\n"))] : []),
    ...(changes === undefined
      ? []
      : changes.length === 0
        ? ["The configuration stays as it is."]
        : ["Changes:", ...indented(changes)]),
    "",
    "What the daemon will do to the packet filter when it starts:",
    ...transactions.flatMap(transactionLines),
    ...(snippet === undefined ? [] : ["", `For the web server, ${snippet.where}:`, ...indented(snippet.lines)]),
  ];
}

function portsLine({ tcp, udp }: ServerAnswers): string {
  const names = [...tcp.map((port) => `tcp/${port}`), ...udp.map((port) => `udp/${port}`)];
  return names.join(", ") || "nothing";
}

function firewallWords(entry: ServerAnswers["firewalls"][number]): string {
  const { use, mode } = entry;
  return mode === "allow" ? `${use} (allow, in ${parentName(entry)})` : mode === undefined ? use : `${use} (${mode})`;
}

const SIGNS = { problem: "PROBLEM", warning: "Warning", note: "Note" } as const;

function findingLine({ level, text }: Finding): string {
  return `  ${SIGNS[level]}: ${text}`;
}

function transactionLines({ use, text, fault }: Rehearsed): string[] {
  if (text === undefined) return [`  (${use}: ${fault})`];
  // As it is, for who wants to run it by hand: a here-document does not end in an indented word.
  return text === "" ? [`  (${use}: nothing; it is as it shall be)`] : text.trimEnd().split("\n");
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => (line === "" ? "" : `  ${line}`));
}
