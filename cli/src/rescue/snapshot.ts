import { mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { WkfsError, messageOf } from "@wkfs/core";
import { writeDurably } from "@wkfs/core/rescue";
import { readOwn } from "./own-file.ts";
import { type Ruleset, VIEWS, type View } from "./ruleset.ts";

/** What `wkfs activate` found, and is put back. */
export interface Snapshot {
  readonly ruleset: Ruleset;
  /** The configuration that was activated: it says what of ours may stand, whatever has become of the file. */
  readonly config: { readonly file: string; readonly text: string };
}

const CONFIG = "configuration.json";

/**
 * Where it is, and whatever else root alone writes: beside the folder of the state and not in it, which belongs to the daemon's user.
 * systemd gives that user all that it finds there (`StateDirectory=`), and who owns a folder can take away what is in it.
 */
export function rescueFolder(stateDir: string): string {
  return `${resolve(stateDir)}-rescue`;
}

/** Makes the folder of the state and the one beside it, with nothing in them. Throws `HOST_UNSUPPORTED`. */
export async function makeRescueFolder(stateDir: string): Promise<void> {
  try {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    await mkdir(rescueFolder(stateDir), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unwritable(stateDir, error);
  }
}

/** On disk when it resolves. Throws `HOST_UNSUPPORTED`. */
export async function saveSnapshot(stateDir: string, { ruleset, config }: Snapshot): Promise<void> {
  try {
    for (const view of Object.keys(VIEWS) as View[])
      await writeDurably(join(rescueFolder(stateDir), view), ruleset[view] ?? "", 0o600);
    await saveConfig(stateDir, config, Object.keys(ruleset));
  } catch (error) {
    throw unwritable(stateDir, error);
  }
}

/** Undefined where there is none. Rejects when it is not to be trusted. */
export async function loadSnapshot(stateDir: string): Promise<Snapshot | undefined> {
  const about = await readOwn(join(rescueFolder(stateDir), CONFIG));
  if (about === undefined) return undefined;
  const { file, text, views } = JSON.parse(about) as Snapshot["config"] & { readonly views: readonly View[] };
  const ruleset: Partial<Record<View, string>> = {};
  for (const view of views) {
    const read = await readOwn(join(rescueFolder(stateDir), view));
    if (read !== undefined) ruleset[view] = read;
  }
  return { ruleset, config: { file, text } };
}

/** For an activation whose "before" is that of an earlier one. */
export async function saveConfig(
  stateDir: string,
  config: Snapshot["config"],
  views: readonly string[],
): Promise<void> {
  const text = `${JSON.stringify({ ...config, views }, undefined, 2)}\n`;
  await writeDurably(join(rescueFolder(stateDir), CONFIG), text, 0o600);
}

function unwritable(stateDir: string, error: unknown): WkfsError {
  return new WkfsError(
    "HOST_UNSUPPORTED",
    `cannot write in ${stateDir} or ${rescueFolder(stateDir)}: ${messageOf(error)}`,
    {
      hint: `Run this as root, and see that ${dirname(stateDir)} is there and the disk is not full.`,
      cause: error,
    },
  );
}
