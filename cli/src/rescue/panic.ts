import { loadServerConfig } from "@wkfs/core/config";
import { WkfsError } from "@wkfs/core";
import { notConfirmed, recordIn } from "@wkfs/core/rescue";
import { startCommands, stateDirOf } from "./activate.ts";
import { knownUnits } from "./units.ts";

/**
 * Takes the mark of `wkfs panic` away, and gives what to do to guard again. What was not confirmed before it cannot be gone
 * back to: throws `NOT_CONFIRMED`; and `STATE_INVALID` where there was no panic.
 */
export async function panicOver(configFile: string, dataDir: string): Promise<string[]> {
  const file = recordIn(stateDirOf(await loadServerConfig(configFile)));
  const record = await file.read();
  if (record?.stage !== "panic")
    throw new WkfsError("STATE_INVALID", "there is no panic", { hint: "`wkfs status` says how the daemon is." });
  if (record.before === "probation" || record.before === "ended")
    throw notConfirmed("it was not confirmed before the panic, so there is nothing to go back to");
  await file.write({ ...record, stage: "confirmed", before: undefined });
  const units = await knownUnits();
  const commands =
    units.length > 0 ? [`systemctl start ${units.join(" ")}`] : startCommands(configFile, dataDir).slice(0, 1);
  return ["Over: a daemon that is started guards again, for good.", ...commands.map((line) => `  ${line}`)];
}
