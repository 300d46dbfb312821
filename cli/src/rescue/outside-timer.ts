import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { WkfsError } from "@wkfs/core";
import { program } from "./program.ts";
import { rescueFolder } from "./snapshot.ts";
import type { Site } from "./take-down.ts";

/**
 * The timer outside of daemon, gateway and session: `wkfs rescue --if-unconfirmed`, run by the service manager, or by a process in
 * a session of its own where there is none. It outlives whoever armed it.
 */

/** Seconds after the end of the probation: daemon and kernel come first. */
const LATER = 1;
/** Milliseconds in which the process must say that it waits, and between two looks. */
const ARMING = 15_000;
const LOOK_EVERY = 25;

export interface TimerOptions extends Site {
  /** The `id` of the activation that it is for. */
  readonly activation: string;
  /** Of the probation. */
  readonly seconds: number;
}

/** What the process says in its log when it waits. */
export function armedLine(activation: string): string {
  return `waiting for the end of activation ${activation}`;
}

/** Gives where it is, in words. Throws `HOST_UNSUPPORTED` when it cannot be armed: nothing may then be activated. */
export async function armTimer(options: TimerOptions): Promise<string> {
  return hasSystemd() ? await armUnit(options) : await armProcess(options);
}

/** As far as it can be called off: a process sees for itself that the guard was confirmed, and ends within a second. */
export async function disarmTimer(stateDir: string): Promise<void> {
  if (hasSystemd()) await program(["systemctl", "stop", `${unitName(stateDir)}.timer`]);
}

/** Whether systemd is this host's service manager; sd_booted(3). */
export function hasSystemd(): boolean {
  return existsSync("/run/systemd/system");
}

/** The argv for systemd-run(1). */
export function unitArgv({ stateDir, seconds, dataDir, ...rest }: TimerOptions): string[] {
  return [
    "systemd-run",
    "--quiet",
    "--collect",
    `--unit=${unitName(stateDir)}`,
    "--description=Takes down the guard of wkfs unless it is confirmed",
    `--on-active=${seconds + LATER}s`,
    "--timer-property=AccuracySec=100ms",
    `--setenv=WKFS_DATA_DIR=${dataDir}`,
    "--",
    ...rescueArgv({ stateDir, seconds, dataDir, ...rest }),
  ];
}

/** One for each folder of a state. */
function unitName(stateDir: string): string {
  return `wkfs-rescue-${createHash("sha256").update(stateDir).digest("hex").slice(0, 8)}`;
}

function rescueArgv({ stateDir, configFile, activation }: TimerOptions): string[] {
  const self = realpathSync(process.argv[1]!);
  const flags = ["--if-unconfirmed", "--activation", activation, "--config", configFile, "--state-dir", stateDir];
  return [process.execPath, self, "rescue", ...flags];
}

async function armUnit(options: TimerOptions): Promise<string> {
  const name = unitName(options.stateDir);
  // Of an earlier activation: two of one name cannot be.
  await program(["systemctl", "stop", `${name}.timer`, `${name}.service`]);
  const { code, stderr } = await program(unitArgv(options));
  if (code === 0) return `${name}.timer of systemd`;
  throw unarmed(`systemd-run refused: ${stderr.trim()}`);
}

async function armProcess(options: TimerOptions): Promise<string> {
  const path = join(rescueFolder(options.stateDir), "timer.log");
  await using log = await open(path, "w", 0o600);
  const [file, ...args] = [...rescueArgv(options), "--after", String(options.seconds + LATER)];
  const env = { PATH: process.env["PATH"], WKFS_DATA_DIR: options.dataDir };
  // A session of its own: neither the end of this one nor Ctrl-C reaches it.
  const child = spawn(file!, args, { detached: true, stdio: ["ignore", log.fd, log.fd], cwd: "/", env });
  let failed: string | undefined;
  child.once("error", (error) => (failed = error.message));
  child.once("exit", (code, signal) => (failed ??= `it ended with ${code ?? signal}`));
  child.unref();
  for (const end = performance.now() + ARMING; performance.now() < end; await delay(LOOK_EVERY)) {
    if ((await readFile(path, "utf8")).includes(armedLine(options.activation)))
      return `process ${child.pid}, which writes ${path}`;
    if (failed !== undefined) break;
  }
  child.kill("SIGKILL");
  throw unarmed(`the process that is to wait does not: ${failed ?? "it says nothing"}; see ${path}`);
}

function unarmed(what: string): WkfsError {
  return new WkfsError("HOST_UNSUPPORTED", `nothing was activated, since nobody would take it down in time: ${what}`, {
    hint: "See what this host lacks, and run `wkfs activate` again.",
  });
}
