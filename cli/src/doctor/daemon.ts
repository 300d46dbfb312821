import { type Transport, isWkfsError, messageOf } from "@wkfs/core";
import { controlCall } from "@wkfs/core/control";
import type { DaemonReport } from "@wkfs/core/daemon";
import { currentBoot, recordIn, verdictOn } from "@wkfs/core/rescue";
import { type Found, error, note, ok, warning } from "./finding.ts";

/** An answer, or why there is none. */
export type Asked<Answer> =
  | { readonly answer: Answer }
  | { readonly failure: string; readonly hint: string | undefined };

export interface DaemonFacts {
  /** Undefined where the configuration has no control socket. */
  readonly control: Asked<DaemonReport> | undefined;
  /** Why no daemon may guard, by the record of the last activation; undefined where one may. */
  readonly never?: string | undefined;
  /** Where a gateway asks; undefined where there is no transport. */
  readonly transport: { readonly addresses: readonly string[]; readonly reply: Asked<string> } | undefined;
}

/** So much of all the room for leases that it is worth a word. */
const NEARLY_FULL = 0.9;
const START = "systemctl start wkfs-daemon  # and see why not: journalctl -u wkfs-daemon";

export function daemonFindings({ control, never, transport }: DaemonFacts): Found[] {
  const found: Found[] = never === undefined ? [] : [error(`no daemon guards: ${never}`, "wkfs activate")];
  if (control === undefined)
    found.push(
      note(
        "the daemon cannot be asked: the configuration has no control socket",
        "add `control: { path: /run/wkfs/control.sock }` and restart the daemon",
      ),
    );
  else if ("failure" in control) found.push(error(control.failure, control.hint ?? START));
  else found.push(...reportFindings(control.answer));
  if (transport === undefined) return found;
  const where = transport.addresses.join(", ");
  if ("failure" in transport.reply)
    found.push(error(`by ${where}: ${transport.reply.failure}`, transport.reply.hint ?? START));
  else if (/"success":/.test(transport.reply.answer)) found.push(ok(`the daemon answers a gateway by ${where}`));
  else found.push(error(`what answers by ${where} is no daemon of wkfs`, "ss -ltnp  # whose port it is"));
  return found;
}

function reportFindings({ pid, firewalls, notifiers, leases, mostLeases }: DaemonReport): Found[] {
  const found: Found[] = [];
  for (const { name, missing, error: failure } of firewalls) {
    if (failure !== undefined) found.push(error(`${name} cannot be looked at: ${failure}`));
    for (const what of missing)
      found.push(error(`${name}: ${what}`, "wkfs events --follow  # the daemon puts it back; who takes it away?"));
  }
  for (const { name, waiting, failures } of notifiers)
    if (failures > 0)
      found.push(
        warning(`${name} failed ${failures} times in a row; ${waiting} messages wait`, "journalctl -u wkfs-daemon"),
      );
  if (leases >= mostLeases * NEARLY_FULL)
    found.push(warning(`${leases} of ${mostLeases} leases are open`, "raise limits.leases in the configuration"));
  return [ok(`the daemon runs (pid ${pid}) and has ${leases} leases open`), ...found];
}

/**
 * A question without a port: there is nothing that it could open, and the daemon refuses it before it decides anything. Its log
 * has a line about it.
 */
const NOTHING = { ip: "192.0.2.1", ports: null, time: 1 };
/** Milliseconds for an answer that needs no kernel. */
const LIMIT = 5000;

export async function askControl(path: string): Promise<Asked<DaemonReport>> {
  return await asked(async () => (await controlCall({ path, op: "status" })) as DaemonReport);
}

/** Undefined too where nobody can read it: then the daemon says so. */
export async function whyNever(stateDir: string | undefined): Promise<string | undefined> {
  if (stateDir === undefined) return undefined;
  const record = await recordIn(stateDir)
    .read()
    .catch(() => undefined);
  const verdict = verdictOn(record, Date.now(), await currentBoot());
  return verdict.guard === "never" ? verdict.because : undefined;
}

export async function askTransport(transport: Transport): Promise<DaemonFacts["transport"]> {
  const { addresses } = transport;
  try {
    return { addresses, reply: await asked(() => transport.call(NOTHING, AbortSignal.timeout(LIMIT))) };
  } finally {
    await transport.close();
  }
}

async function asked<Answer>(question: () => Promise<Answer>): Promise<Asked<Answer>> {
  try {
    return { answer: await question() };
  } catch (failure) {
    return { failure: messageOf(failure), hint: isWkfsError(failure) ? failure.hint : undefined };
  }
}
