import { lstat } from "node:fs/promises";
import type { ProtectedPorts } from "@wkfs/core";
import type { ClientBlock } from "./client-block.ts";
import { type ClientFiles, exposedWarning, readBrought, writeClientConfig } from "./client-config.ts";
import { readInput, readSource } from "./client-source.ts";

/** Where the URL and the keys come from: a text, a file or a stream with both, or one by one. */
export type ClientSource =
  | { readonly text: string }
  | { readonly file: string }
  | { readonly input: AsyncIterable<Buffer> }
  | { readonly url: string; readonly keys: string };

export interface ClientChoices {
  readonly folder: string;
  /** Instead of those that the source names. */
  readonly ports?: ProtectedPorts;
  /** Seconds, instead of those that the source names. */
  readonly maxTime: number | undefined;
  readonly replace: boolean;
}

/** Writes a client's configuration. `warning` is of keys that lie around. Throws `CONFIG_INVALID` and `SECRET_INVALID`. */
export async function installClient(
  source: ClientSource,
  { folder, ports, maxTime, replace }: ClientChoices,
): Promise<{ readonly files: ClientFiles; readonly warning: string | undefined }> {
  const { block, origin, warning } = await read(source);
  const { keys, ...settings } = block;
  const chosen = { ...settings, ...ports, maxTime: maxTime ?? settings.maxTime };
  return { files: await writeClientConfig(folder, chosen, keys, { origin, replace }), warning };
}

/** Whether something is there, whatever it is. */
export async function isThere(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}

async function read(
  source: ClientSource,
): Promise<{ readonly block: ClientBlock; readonly origin: string; readonly warning?: string | undefined }> {
  if ("text" in source) return { block: readSource(source.text, "what was pasted"), origin: "what was pasted" };
  if ("input" in source) {
    const origin = "standard input";
    return { block: readSource(await readInput(source.input), origin), origin };
  }
  const origin = "file" in source ? source.file : source.keys;
  const { text, exposed } = await readBrought(origin);
  const block = "file" in source ? readSource(text, origin) : { url: source.url, keys: text };
  return { block, origin, warning: exposedWarning(origin, exposed) };
}
