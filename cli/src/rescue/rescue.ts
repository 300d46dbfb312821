import { setTimeout as delay } from "node:timers/promises";
import { loadServerConfig } from "@wkfs/core/config";
import { messageOf } from "@wkfs/core";
import { type ActivationRecord, type Stage, currentBoot, newRecord, recordIn, verdictOn } from "@wkfs/core/rescue";
import { ROOT_DATA_DIR } from "../data-dir.ts";
import { disarmTimer } from "./outside-timer.ts";
import { type Site, type TakenDown, takeDown } from "./take-down.ts";
import { knownUnits, stopUnits } from "./units.ts";

/** Milliseconds between two looks whether there still is something to wait for. */
const LOOK_EVERY = 1000;

export interface Rescue {
  readonly configFile: string;
  /** Undefined: what the configuration says; where that is broken, the usual one. */
  readonly stateDir: string | undefined;
  readonly dataDir: string;
}

/** The folder of the state, whatever has become of the configuration. */
export async function siteOf({ configFile, stateDir, dataDir }: Rescue): Promise<Site> {
  if (stateDir !== undefined) return { configFile, dataDir, stateDir };
  const config = await loadServerConfig(configFile).catch(() => undefined);
  return { configFile, dataDir, stateDir: config?.rescue ?? ROOT_DATA_DIR };
}

/**
 * Marks the activation so that no daemon guards from now on, and takes everything down. Where the record cannot be written, the
 * rest is done all the same.
 */
export async function endActivation(site: Site, stage: Extract<Stage, "ended" | "panic">): Promise<TakenDown> {
  const file = recordIn(site.stateDir);
  const found = await file.read().catch(() => undefined);
  const bootId = await currentBoot();
  const blank = { until: Date.now(), seconds: 0, bootId, config: site.configFile, confirmBy: "console" } as const;
  const record: ActivationRecord =
    stage === "panic"
      ? {
          ...(found ?? newRecord({ ...blank, stage })),
          stage,
          before: found?.stage === "panic" ? found.before : found?.stage,
        }
      : { ...(found ?? newRecord({ ...blank, stage })), stage };
  const unmarked: string[] = await file.write(record).then(
    () => [],
    (error: unknown) => [`a daemon that is started again would guard again: ${messageOf(error)}`],
  );
  // systemd starts what ends, and nothing tells this one not to guard.
  if (unmarked.length > 0) {
    const units = await knownUnits();
    const refused = units.length > 0 ? await stopUnits(units.slice(0, 1)) : undefined;
    if (refused !== undefined) unmarked.push(refused);
  }
  const taken = await takeDown(site);
  await disarmTimer(site.stateDir);
  return { ...taken, down: taken.down && unmarked.length === 0, lines: [...unmarked, ...taken.lines] };
}

/** The probation of this activation is to be ended; or why not. */
export async function isOverdue(site: Site, activation: string | undefined): Promise<true | string> {
  const record = await recordIn(site.stateDir)
    .read()
    .catch(() => "unreadable" as const);
  // Nobody can know that it was confirmed.
  if (record === "unreadable") return true;
  if (record === undefined) return "there is no activation";
  if (activation !== undefined && record.id !== activation) return "another activation has begun meanwhile";
  if (record.stage !== "probation")
    return `the activation is ${record.stage === "panic" ? "called off" : record.stage}`;
  // A timer has counted by a clock that nobody sets.
  if (activation !== undefined) return true;
  const verdict = verdictOn(record, Date.now(), await currentBoot());
  return verdict.guard === "on probation" ? `it is on probation for ${Math.ceil(verdict.left / 1000)} s more` : true;
}

/** Waits so many seconds, or until there is nothing left to wait for. */
export async function waitFor(site: Site, activation: string, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const left = end - performance.now();
    if (left <= 0 || (await isOverdue(site, activation)) !== true) return;
    await delay(Math.min(left, LOOK_EVERY));
  }
}
