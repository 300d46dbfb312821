import { WkfsError } from "@wkfs/core";
import { groupId } from "@wkfs/core/host";
import { SERVER_DIR } from "../config-path.ts";
import type { ServerAnswers, WebServer } from "./answers.ts";
import { lookAround } from "./detect/host.ts";
import type { Finding } from "./finding.ts";
import { formerInstallation } from "./former.ts";
import { findings } from "./host-findings.ts";
import { nextSteps } from "./next-steps.ts";
import { makePlan, planLines } from "./plan.ts";
import { type ServerInstalled, checkAnswers, freshPath, installServer, layoutOf } from "./server-config.ts";
import { sendTestMessages } from "./test-messages.ts";
import { rehearse } from "./transactions.ts";
import { type Wish, propose, withProposedPorts } from "./wish.ts";

export interface InstallationRun {
  readonly wish: Wish;
  /** Whether there is a person to ask. */
  readonly ask: boolean;
  /** Whether what is said goes to a terminal. */
  readonly terminal: boolean;
  readonly yes: boolean;
  readonly dryRun: boolean;
  readonly test: boolean;
  readonly force: boolean;
  readonly newKeys: boolean;
  readonly dataDir: string;
  readonly runCommand: (id: string, flags: string[]) => Promise<unknown>;
  readonly say: (line: string) => void;
}

/** What an installation was about: for programs, with `--json`. No secrets. */
export interface ServerOutcome extends Partial<ServerInstalled> {
  readonly plan: {
    readonly answers: ServerAnswers;
    readonly findings: readonly Finding[];
    /** What goes to the packet filter when the daemon starts, for each firewall; `null` where that cannot be said. */
    readonly transactions: readonly (string | null)[];
    readonly snippet: readonly string[] | null;
  };
  readonly written: boolean;
  /** Notifiers that took a test message. */
  readonly tested?: readonly string[];
}

/** Looks, asks, shows the plan, writes. Throws `CONFIG_INVALID`, `SECRET_INVALID`, `PLUGIN_INVALID`, `NOTIFY_FAILED`. */
export async function runInstallation(run: InstallationRun): Promise<ServerOutcome> {
  const { wish, say, newKeys } = run;
  const { folder, stateDir } = wish;
  const flagGid = wish.group === undefined ? undefined : await groupId(wish.group);
  const [host, former] = await Promise.all([lookAround(), formerInstallation(folder)]);
  const path = freshPath();

  const asked = run.ask
    ? await answered(async () => (await import("./questions.ts")).askServer(wish, former, host, path))
    : undefined;
  const proposed = propose(wish, former, host, () => path);
  const { answers, because } = asked?.proposal ?? (run.yes ? withProposedPorts(proposed, wish, host) : proposed);
  const behind = asked === undefined ? snippetServer(wish) : asked.behind;

  const layout = await layoutOf({ folder, stateDir, answers, former, newKeys });
  const url = await checkAnswers(answers, layout, folder);
  const place = { folder, dataDir: run.dataDir };
  const [found, transactions] = [findings(answers, host), await rehearse(answers, place)];
  const plan = makePlan({ answers, because, findings: found, transactions }, { ...layout, url }, former, behind);
  for (const line of planLines(host, plan, run.terminal)) say(line);
  const outcome: Omit<ServerOutcome, "written"> = {
    plan: {
      answers,
      findings: found,
      transactions: transactions.map(({ text }) => text ?? null),
      snippet: plan.snippet?.lines ?? null,
    },
  };
  if (run.dryRun) {
    say("");
    say("This was a dry run: nothing was written.");
    return { ...outcome, written: false };
  }
  const agreed =
    asked !== undefined && (await goOn(former === undefined ? "Write these files?" : "Write these changes?"));
  if (asked !== undefined && !agreed) {
    say("Nothing was written.");
    return { ...outcome, written: false };
  }
  say("");
  const force = run.force || agreed;
  const installed = await installServer({
    folder,
    stateDir,
    answers,
    former,
    gid: flagGid ?? former?.gid,
    force,
    newKeys,
  });
  for (const line of nextSteps(installed, folder !== SERVER_DIR)) say(line);
  if (asked !== undefined) await offer(run, installed.config);
  if (!run.test && asked?.test !== true) return { ...outcome, ...installed, written: true };
  if (answers.notify.length === 0) {
    throw new WkfsError("CONFIG_INVALID", "--test-mail: the configuration has nobody to tell", {
      hint: "The files are written. Say who is told, such as with --smtp-host, --smtp-from and --smtp-to, and --force.",
    });
  }
  const tested = await sendTestMessages(answers, place);
  say(`Sent a test message by ${tested.join(", ")}.`);
  return { ...outcome, ...installed, written: true, tested };
}

/** Services are written and the guard is put up by commands of their own. */
async function offer({ runCommand, wish }: InstallationRun, config: string): Promise<void> {
  const flags = wish.folder === SERVER_DIR ? [] : ["--config", config];
  for (const [id, question] of [
    ["service:install", "Write the services of this server now (wkfs service install)?"],
    ["activate", "Put up the guard now, on probation (wkfs activate)?"],
  ] as const)
    if (await goOn(question, false)) await runCommand(id, flags);
}

async function goOn(message: string, preset = true): Promise<boolean> {
  return await answered(async () => (await import("./questions.ts")).askToGoOn(message, preset));
}

/** A person who leaves at a question, by Ctrl-C or by closing the terminal, is no fault of the program. */
async function answered<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "ExitPromptError") throw error;
    throw new WkfsError("CONFIG_INVALID", "the questions were called off", {
      hint: "What was not shown as written is as it was. Every answer is a flag as well: wkfs install server --help",
      cause: error,
    });
  }
}

function snippetServer({ behind }: Wish): WebServer | undefined {
  return behind === "none" ? undefined : behind;
}
