import { type WkfsError, messageOf } from "@wkfs/core";
import { type PluginUse, type ServerConfig, loadServerConfig, parseServerConfig } from "@wkfs/core/config";
import { createFirewalls } from "@wkfs/core/daemon";
import { loadPlugins } from "../plugins.ts";
import { leftovers } from "./leftovers.ts";
import { program } from "./program.ts";
import { type Ruleset, differences, readRuleset } from "./ruleset.ts";
import { endDaemon } from "./running-daemon.ts";
import { savedGuards } from "./saved-rules.ts";
import { type Snapshot, loadSnapshot } from "./snapshot.ts";

/** Milliseconds that one firewall may take. */
const DETACH_LIMIT = 60_000;

/** What became of it. */
export interface TakenDown {
  /** Whether everything of ours is out, as far as anybody can tell. */
  readonly down: boolean;
  /** Whether the packet filter is what it was before the activation; undefined where nobody knows what it was. */
  readonly identical: boolean | undefined;
  /** What was done and found, in lines for people. */
  readonly lines: readonly string[];
}

/** Where what is to be taken down is described. */
export interface Site {
  readonly stateDir: string;
  /** The configuration as it is now; it may be broken. */
  readonly configFile: string;
  /** Where plugins are. */
  readonly dataDir: string;
}

/**
 * Ends the daemon and puts the packet filter back as it was before the activation. Goes on past everything that fails. The
 * configuration of now and the one that was activated both say what of ours may stand, so one of them may be broken. Idempotent.
 */
export async function takeDown({ stateDir, configFile, dataDir }: Site): Promise<TakenDown> {
  const lines: string[] = [];
  const attempt = async <Result>(what: string, work: () => Promise<Result>): Promise<Result | undefined> => {
    try {
      return await work();
    } catch (error) {
      lines.push(`${what}: ${messageOf(error)}`);
      return undefined;
    }
  };
  const snapshot = await attempt("the snapshot cannot be used", () => loadSnapshot(stateDir));
  const current = await attempt("the configuration cannot be used", () => loadServerConfig(configFile));
  const former = snapshot && (await attempt("nor the one that was activated", () => formerConfig(snapshot)));

  const control = current?.control ?? former?.control;
  const ended = await attempt("the daemon cannot be ended", () => endDaemon(stateDir, control?.path));
  if (ended !== undefined) lines.push(ended);

  const { failures, names } = await detachAll([current, former], dataDir);
  lines.push(...failures);
  if (names.length > 0) lines.push(`taken out of the packet filter: ${names.join(", ")}`);
  if (names.length + failures.length === 0) lines.push("no configuration says what would have to be taken down");

  const compared = snapshot && (await attempt("the packet filter cannot be compared", () => compare(snapshot.ruleset)));
  lines.push(...(compared ?? []));
  const identical = compared && compared.length === 0;
  if (identical === true) lines.push("the packet filter is what it was before the activation");
  lines.push(...(await savedGuards([current, former])));
  return { down: failures.length === 0 && names.length > 0, identical, lines };
}

async function formerConfig({ config: { file, text } }: Snapshot): Promise<ServerConfig> {
  return await parseServerConfig(text, file);
}

/**
 * Takes out what an activation hung in that is none of the firewalls of another configuration. Gives what failed. A guard that is
 * confirmed has no end of its own: without this it would stay beside its successor, and outlive it.
 */
export async function detachPredecessors(
  former: Snapshot,
  { firewall }: ServerConfig,
  dataDir: string,
): Promise<readonly string[]> {
  const { failures } = await detachAll([await formerConfig(former)], dataDir, new Set(firewall.map(keyOf)));
  return failures;
}

/** The same key: hung in at the same place, so that one takes over from the other. */
function keyOf({ use, config }: PluginUse): string {
  return JSON.stringify([use, config]);
}

/** Each firewall by itself, so that a broken one keeps no other. Not those whose keys are in `except`. */
async function detachAll(
  configs: readonly (ServerConfig | undefined)[],
  dataDir: string,
  except: ReadonlySet<string> = new Set(),
): Promise<{ readonly failures: string[]; readonly names: string[] }> {
  const failures: string[] = [];
  const names: string[] = [];
  const seen = new Set(except);
  for (const config of configs) {
    for (const use of config?.firewall ?? []) {
      const key = keyOf(use);
      if (config === undefined || seen.has(key)) continue;
      seen.add(key);
      try {
        await detachOne(config, use, dataDir);
        names.push(use.use);
      } catch (error) {
        const { hint } = error as Partial<WkfsError>;
        failures.push(
          `${use.use} could not be taken down: ${messageOf(error)}${hint === undefined ? "" : ` (${hint})`}`,
        );
      }
    }
  }
  return { failures, names: [...new Set(names)] };
}

async function detachOne(config: ServerConfig, use: PluginUse, dataDir: string): Promise<void> {
  const plugins = await loadPlugins([use], config.source, dataDir);
  for (const { plugin } of await createFirewalls({ config: { ...config, firewall: [use] }, plugins })) {
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error(`it took longer than ${DETACH_LIMIT / 1000} s`)), DETACH_LIMIT);
    await Promise.race([plugin.detach(), promise]).finally(() => clearTimeout(timer));
  }
}

/** Removes what came by itself, and says what still differs. */
async function compare(before: Ruleset): Promise<string[]> {
  const now = await readRuleset();
  const extra = leftovers(before["nft-list-ruleset"] ?? "", now["nft-list-ruleset"] ?? "");
  if (before["nft-list-ruleset"] === undefined || extra.length === 0) return differences(before, now);
  for (const command of extra) await program(["nft", ...command]);
  return differences(before, await readRuleset());
}
