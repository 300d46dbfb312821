import { open, mkdir, readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Logger, WkfsError, messageOf } from "@wkfs/core";
import { controlCall } from "@wkfs/core/control";
import { readWhole, writeDurably } from "@wkfs/core/rescue";

const FILE = "daemon.pid";
/** Bytes of it. */
const LIMIT = 8192;
/** Milliseconds between two looks whether a process is gone: it is no child of ours, so nobody tells. */
const LOOK_EVERY = 25;
/** Milliseconds for an answer over the control socket, for an orderly end, and for one that is none. */
const ANSWER = 3000;
const ORDERLY = 8000;
const KILLED = 5000;

/** A process, told apart from a later one of the same number by when it began. */
interface Process {
  readonly pid: number;
  /** In ticks since the boot. */
  readonly began: string;
  /** The configuration that it was started with, absolute. */
  readonly config?: string;
}

/**
 * Leaves word of this process in the state's folder, for who has to end it without asking. A daemon that cannot does
 * its work all the same. Gives what takes the word away again. Throws `STATE_INVALID` while another runs by the same configuration:
 * one that then finds its places taken would undo, as it ends, what the other has in the packet filter.
 */
export async function announceDaemon(
  stateDir: string | undefined,
  config: string,
  log: Logger,
): Promise<() => Promise<void>> {
  const nothing = async () => {};
  if (stateDir === undefined) return nothing;
  const other = await runningProcess(stateDir);
  if (other?.config === resolve(config)) throw runsAlready(other.pid);
  // Of two that share the folder, the word is the first one's.
  if (other !== undefined) return nothing;
  const path = join(stateDir, FILE);
  try {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    const began = (await beginningOf(process.pid)) ?? "";
    const own: Process = { pid: process.pid, began, config: resolve(config) };
    await writeDurably(path, `${JSON.stringify(own)}\n`, 0o644);
    // What is left when that fails names a process that is gone.
    return () => rm(path, { force: true }).catch(() => {});
  } catch (error) {
    log.warn({ path, error: messageOf(error) }, "`wkfs rescue` will not know which process this is");
    return nothing;
  }
}

function runsAlready(pid: number): WkfsError {
  return new WkfsError("STATE_INVALID", `a daemon runs already by this configuration (pid ${pid})`, {
    hint: "`wkfs reload` has it read the configuration anew. Where another is to run beside it, give that a configuration and a store of its own.",
  });
}

/** The daemon that left word there and still runs. Only a process of the user who left it is believed to be one. */
export async function runningDaemon(stateDir: string): Promise<number | undefined> {
  return (await runningProcess(stateDir))?.pid;
}

async function runningProcess(stateDir: string): Promise<Process | undefined> {
  const path = join(stateDir, FILE);
  const text = await readWhole(path, LIMIT).catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const found = JSON.parse(text) as Process;
    await using file = await open(path, "r");
    const { uid } = await file.stat();
    const status = await readFile(`/proc/${found.pid}/status`, "utf8");
    const owner = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]);
    return found.began !== "" && found.began === (await beginningOf(found.pid)) && owner === uid ? found : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Ends the daemon: asks it to take down the guard and to stop, else signals it, else kills it. Gives what happened, in words;
 * undefined where none runs. What it leaves standing is the caller's.
 */
export async function endDaemon(stateDir: string, socket: string | undefined): Promise<string | undefined> {
  const pid = await runningDaemon(stateDir);
  if (socket !== undefined) {
    const call = { path: socket, op: "stop", args: { detach: true }, signal: AbortSignal.timeout(ANSWER) };
    const answer = (await controlCall(call).catch(() => undefined)) as { readonly pid?: unknown } | undefined;
    if (typeof answer?.pid === "number" && (await isGone(answer.pid, ORDERLY)))
      return `the daemon (pid ${answer.pid}) was told to stop and did`;
  }
  if (pid === undefined) return undefined;
  signal(pid, "SIGTERM");
  if (await isGone(pid, ORDERLY)) return `the daemon (pid ${pid}) ended at SIGTERM`;
  signal(pid, "SIGKILL");
  return (await isGone(pid, KILLED))
    ? `the daemon (pid ${pid}) did not stop and was killed`
    : `the daemon (pid ${pid}) could not be ended`;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone, or not ours to end: what is looked at next says which.
  }
}

async function isGone(pid: number, limit: number): Promise<boolean> {
  const began = await beginningOf(pid);
  for (const end = performance.now() + limit; performance.now() < end; await delay(LOOK_EVERY))
    if (began === undefined || (await beginningOf(pid)) !== began) return true;
  return false;
}

/** When a process began, by proc(5); undefined when it is gone, or dead and not fetched by its parent. */
async function beginningOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields === undefined || fields[0] === "Z" ? undefined : fields[19];
}
