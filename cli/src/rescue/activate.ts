import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { WkfsError, formatPort, messageOf } from "@wkfs/core";
import { type ServerConfig, loadServerConfig } from "@wkfs/core/config";
import { createDaemon, createFirewalls } from "@wkfs/core/daemon";
import { type ActivationRecord, currentBoot, newRecord, recordIn } from "@wkfs/core/rescue";
import { shellWord } from "../install/next-steps.ts";
import { loadPlugins } from "../plugins.ts";
import { armTimer, disarmTimer } from "./outside-timer.ts";
import { program } from "./program.ts";
import { readRuleset } from "./ruleset.ts";
import { runningDaemon } from "./running-daemon.ts";
import { loadSnapshot, makeRescueFolder, rescueFolder, saveConfig, saveSnapshot } from "./snapshot.ts";
import { type Site, detachPredecessors, takeDown } from "./take-down.ts";
import { knownUnits, runsAsUnit, stopUnits } from "./units.ts";

export interface Activation {
  readonly configFile: string;
  readonly dataDir: string;
  /** How long the probation lasts, in seconds. */
  readonly within: number;
  readonly confirmBy: ActivationRecord["confirmBy"];
  /** Whether a firewall may do whose guard only processes can end. */
  readonly withoutKernelTimer: boolean;
  /** Whether the service manager is told to start both halves, where there is one. */
  readonly start: boolean;
}

/** An activation that has begun. */
export interface Activated {
  readonly stateDir: string;
  /** When everything is put back unless it is confirmed, in ms since the epoch. */
  readonly until: number;
  readonly protect: ServerConfig["protect"];
  readonly confirmBy: ActivationRecord["confirmBy"];
  /** Who puts it back, in words. */
  readonly timer: string;
  /** The units that the service manager runs now, and at each boot. */
  readonly started: readonly string[];
  /** The commands that the administrator runs next; none where the service manager did its part. */
  readonly commands: readonly string[];
}

/**
 * Begins a probation: a daemon that starts from now on guards until its end, unless somebody confirms. Touches nothing when the
 * configuration is wrong. A confirmed daemon that systemd runs is stopped first, and started again on probation. Throws `CONFIG_INVALID`,
 * `SECRET_INVALID`, `PLUGIN_INVALID`, `HOST_UNSUPPORTED`, and `STATE_INVALID` while another daemon runs.
 */
export async function activate(activation: Activation): Promise<Activated> {
  const { dataDir, within, confirmBy } = activation;
  const configFile = resolve(activation.configFile);
  const config = await loadServerConfig(configFile);
  const stateDir = stateDirOf(config);
  const { transport, firewall, store, notify, source } = config;
  const uses = [transport, ...firewall, store, ...notify].filter((use) => use !== undefined);
  const plugins = await loadPlugins(uses, source, dataDir);
  const daemon = await createDaemon({ config, plugins });
  if (!activation.withoutKernelTimer) await refuseUntimed(config, await createFirewalls({ config, plugins }));
  const units = activation.start ? await knownUnits() : [];
  const file = recordIn(stateDir);
  const former = await file.read().catch(() => undefined);
  const pid = await runningDaemon(stateDir);
  if (pid !== undefined) await stopRunning(pid, units, former);

  await makeRescueFolder(stateDir);
  const text = await readFile(configFile, "utf8");
  const kept = former?.stage === "confirmed" ? await loadSnapshot(stateDir).catch(() => undefined) : undefined;
  if (kept === undefined) {
    // What a daemon without a probation left is ours: what was before is without it.
    await daemon.detach();
    await saveSnapshot(stateDir, { ruleset: await readRuleset(), config: { file: configFile, text } });
  } else {
    const failures = await detachPredecessors(kept, config, dataDir);
    if (failures.length > 0) throw stuck(failures);
    await saveConfig(stateDir, { file: configFile, text }, Object.keys(kept.ruleset));
  }

  const until = Date.now() + within * 1000;
  const bootId = await currentBoot();
  const record = newRecord({ stage: "probation", until, seconds: within, bootId, config: configFile, confirmBy });
  const site = { stateDir, configFile, dataDir };
  const timer = await armFor(record, site, file);
  if (units.length > 0) await startUnits(units, site);
  const commands = units.length > 0 ? [] : startCommands(configFile, dataDir);
  return { stateDir, until, protect: config.protect, confirmBy, timer, started: units, commands };
}

/** Bounds of a probation in seconds: too short, and nobody can do anything in it; too long, and nobody sits there any more. */
const SHORTEST = 3;
const LONGEST = 3600;

/** Throws `CONFIG_INVALID` for a probation that is none. */
export function refuseTime(seconds: number): void {
  if (seconds >= SHORTEST && seconds <= LONGEST) return;
  throw new WkfsError("CONFIG_INVALID", `--within: ${seconds} s is no time to confirm in`, {
    hint: `Give ${SHORTEST} s to ${LONGEST} s.`,
  });
}

/** The folder of the state. Throws `CONFIG_INVALID` where the configuration has none. */
export function stateDirOf(config: ServerConfig): string {
  if (config.rescue !== undefined) return config.rescue;
  throw new WkfsError(
    "CONFIG_INVALID",
    `${config.source.locate(["store"])}: the store has no \`path\`, so there is no folder for the record of an activation`,
    { hint: "Add `rescue: { path: /var/lib/wkfs }`; the daemon's user must be able to write there." },
  );
}

/** What an administrator is told after it. */
export function activationLines({
  until,
  protect,
  confirmBy,
  timer,
  started,
  commands,
  stateDir,
}: Activated): string[] {
  const ports = (["tcp", "udp"] as const).flatMap((protocol) =>
    protect[protocol].map((number) => formatPort({ protocol, number })),
  );
  const seconds = Math.max(0, Math.round((until - Date.now()) / 1000));
  const end = new Date(until).toISOString().slice(11, 19);
  return [
    `On probation for ${seconds} s, until ${end} UTC: ${ports.join(", ")}. Unless it is confirmed by then, everything is put back as it was.`,
    `before       ${rescueFolder(stateDir)}`,
    `timer        ${timer}`,
    "",
    ...(started.length > 0
      ? [`Running, also after a reboot: ${started.join(", ")}.`]
      : ["Start both halves now:", ...commands.map((line) => `  ${line}`)]),
    "",
    "Keep this session open: what stands is not cut. From another machine:",
    "  1. knock:               wkfs client open",
    "  2. log in once more:    a NEW ssh session",
    "Both worked? Then, here:  wkfs confirm",
    confirmBy === "knock"
      ? "A knock from another host that worked confirms as well (--confirm console: it does not)."
      : "Nothing else confirms it.",
    "Locked out? Do nothing, and wait for the end.",
  ];
}

/** What is typed to run both halves without a service manager. */
export function startCommands(configFile: string, dataDir: string): string[] {
  const place = process.env["WKFS_DATA_DIR"] === dataDir ? "" : `WKFS_DATA_DIR=${shellWord(dataDir)} `;
  return ["daemon", "serve"].map((half) => `${place}wkfs ${half} --config ${shellWord(configFile)} &`);
}

async function refuseUntimed(
  { source, firewall }: ServerConfig,
  firewalls: Awaited<ReturnType<typeof createFirewalls>>,
): Promise<void> {
  const index = firewalls.findIndex(({ plugin }) => plugin.capabilities.guardUntil !== true);
  if (index === -1) return;
  throw new WkfsError(
    "HOST_UNSUPPORTED",
    `${source.locate(firewall[index]!.path)}: the guard of ${firewalls[index]!.name} cannot end by itself`,
    {
      hint: "Give --without-kernel-timer where it shall do that a process ends it: the daemon, or a timer outside of it.",
    },
  );
}

/**
 * The units start again with what was activated; until then the guard of before stays. Throws `STATE_INVALID` where the daemon is on
 * probation, or is not systemd's to start again.
 */
async function stopRunning(pid: number, units: readonly string[], record: ActivationRecord | undefined): Promise<void> {
  const lasting = record === undefined || record.stage === "confirmed";
  if (!lasting || units.length === 0 || !(await runsAsUnit(pid))) throw running(pid);
  const refused = await stopUnits(units);
  if (refused === undefined) return;
  throw new WkfsError("HOST_UNSUPPORTED", `nothing was activated: ${refused}`, {
    hint: "See `systemctl status wkfs-daemon`, and run `wkfs activate` again.",
  });
}

/** The record is there before anybody waits for its end, and gone where nobody can. */
async function armFor(record: ActivationRecord, site: Site, file: ReturnType<typeof recordIn>): Promise<string> {
  await file.write(record);
  try {
    return await armTimer({ ...site, activation: record.id, seconds: record.seconds });
  } catch (error) {
    await file.write({ ...record, stage: "ended" });
    throw error;
  }
}

/**
 * Starts them now and at each boot from now on: a reboot ends the probation, and a daemon that was not confirmed guards
 * nothing then. Throws when they do not start, with everything taken down again.
 */
async function startUnits(units: readonly string[], site: Site): Promise<void> {
  const { code, stderr } = await program(["systemctl", "enable", "--now", "--", ...units]);
  if (code === 0) return;
  const file = recordIn(site.stateDir);
  const record = await file.read();
  if (record !== undefined) await file.write({ ...record, stage: "ended" });
  const { lines } = await takeDown(site);
  await disarmTimer(site.stateDir);
  throw new WkfsError("HOST_UNSUPPORTED", `the units do not start: ${messageOf(stderr.trim())}; ${lines.join("; ")}`, {
    hint: "See `journalctl -u wkfs-daemon -u wkfs-gateway`, and run `wkfs activate` again.",
  });
}

function stuck(failures: readonly string[]): WkfsError {
  return new WkfsError("HOST_UNSUPPORTED", `nothing was activated: the guard of before stays: ${failures.join("; ")}`, {
    hint: "`wkfs rescue` takes it down, as far as it can, and says what is left.",
  });
}

function running(pid: number): WkfsError {
  return new WkfsError("STATE_INVALID", `a daemon runs already (pid ${pid})`, {
    hint: "Stop it first; when it is on probation, `wkfs confirm` makes it permanent and `wkfs rescue` ends it.",
  });
}
