import { isDeepStrictEqual } from "node:util";
import type { PluginUse, ServerConfig } from "../config/index.ts";
import { WkfsError } from "../model/errors.ts";

/** What a reload did. */
export interface Reloaded {
  /** Sections of the configuration that differ from before, and take effect now. */
  readonly changed: readonly string[];
  /** Milliseconds for which knocks waited. */
  readonly gap: number;
}

/** What others hold on to while we run: the gateway, the file, the kernel, who asks. */
const FIXED = ["transport", "store", "firewall", "control"] as const;
const FREE = ["protect", "limits", "notify"] as const;

/**
 * The sections that differ between two configurations. Throws `CONFIG_INVALID` when one of them cannot be changed while the daemon
 * runs.
 */
export function changedSections(before: ServerConfig, after: ServerConfig): string[] {
  const differs = (section: keyof ServerConfig): boolean =>
    !isDeepStrictEqual(essence(before[section]), essence(after[section]));
  const fixed = FIXED.filter(differs);
  if (fixed.length > 0) {
    throw new WkfsError(
      "CONFIG_INVALID",
      `${after.source.locate([fixed[0]!])}: a change of ${fixed.join(", ")} needs a restart`,
      {
        hint: "Run `wkfs activate`: it starts the daemon again, on probation, and takes out what another firewall hung in. Where systemd does not run it, stop the daemon before.",
      },
    );
  }
  const keys = differs("keySets") || differs("namedKeys");
  return [...FREE.filter(differs), ...(keys ? ["gateway.keys"] : [])];
}

/** A plugin's section without the place where it stands. */
function essence(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(essence);
  if (typeof value === "object" && value !== null && "use" in value) {
    const { path: _, ...rest } = value as PluginUse;
    return rest;
  }
  return value;
}
