import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { WkfsError, messageOf } from "@wkfs/core";
import { loadClientConfig, readKeys, readSecret } from "@wkfs/core/config";
import { CLIENT_FILE, KEYS_FILE } from "../config-path.ts";
import type { ClientBlock } from "./client-block.ts";
import { makeFolder, writeFiles } from "./write-files.ts";
import { yamlValue } from "./yaml-text.ts";

/** Certificates beside a client's configuration. */
const CA_FILE = "ca.pem";

/** What a client's configuration is made of. */
export interface ClientSettings {
  readonly url: string;
  readonly tcp?: readonly number[] | undefined;
  readonly udp?: readonly number[] | undefined;
  /** Seconds. */
  readonly maxTime?: number | undefined;
  /** PEM certificates to trust in place of the system's. */
  readonly ca?: string | undefined;
}

export interface ClientFiles {
  readonly config: string;
  readonly keys: string;
}

/**
 * Writes a client's configuration and its keys, 0600 in a folder 0700, and reads them back before they are in
 * place. `origin` is the file that the keys came from, for errors. Throws `CONFIG_INVALID` and `SECRET_INVALID`.
 */
export async function writeClientConfig(
  folder: string,
  settings: ClientSettings,
  keys: string,
  { origin, replace }: { readonly origin: string; readonly replace: boolean },
): Promise<ClientFiles> {
  const files = { config: join(folder, CLIENT_FILE), keys: join(folder, KEYS_FILE) };
  await makeFolder(folder, 0o700);
  await writeFiles(
    [
      { path: files.keys, text: keys, mode: 0o600, replace, origin },
      { path: files.config, text: clientYaml(settings), mode: 0o600, replace },
      ...(settings.ca === undefined ? [] : [{ path: join(folder, CA_FILE), text: settings.ca, mode: 0o600, replace }]),
    ],
    async ([stagedKeys, stagedConfig]) => {
      await readKeys(stagedKeys!);
      await loadClientConfig(stagedConfig!);
    },
  );
  return files;
}

/** What of a client's configuration another client needs. Throws `CONFIG_INVALID` and `SECRET_INVALID`. */
export async function exportClient(file: string, url: string | undefined): Promise<ClientBlock> {
  const config = await loadClientConfig(file);
  // Checked as keys, so that nothing else leaves in their place.
  await readKeys(config.keys);
  return {
    url: url ?? config.url,
    keys: await readSecret(config.keys),
    ...config.ports,
    maxTime: config.maxTime,
    ca: config.ca === undefined ? undefined : (await readBrought(config.ca)).text,
  };
}

function clientYaml({ url, tcp, udp, maxTime, ca }: ClientSettings): string {
  const ports = [tcp && `tcp: ${yamlValue(tcp)}`, udp && `udp: ${yamlValue(udp)}`].filter((line) => line !== undefined);
  return [
    "# wkfs client. The keys beside this file open the ports: whoever has them can knock.",
    `url: ${JSON.stringify(url)}`,
    `keys: ${KEYS_FILE}`,
    ...(ports.length > 0 ? ports : ["# tcp: [22]          # default: all that the server offers"]),
    maxTime === undefined ? "# maxTime: 10m       # default: as long as the server allows" : `maxTime: ${maxTime}`,
    ...(ca === undefined ? [] : [`ca: ${CA_FILE}`]),
    "",
  ].join("\n");
}

/** Largest file with keys that is read, in bytes. */
const LIMIT = 65_536;

/**
 * Reads a file with keys that somebody brought from elsewhere; its mode is no reason to refuse it, but
 * `exposed` tells that others can read it. Throws `CONFIG_INVALID`.
 */
export async function readBrought(path: string): Promise<{ readonly text: string; readonly exposed: boolean }> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const { mode, size } = await file.stat();
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw new Error("it is no regular file");
    if (size > LIMIT) throw new Error(`it is larger than ${LIMIT} bytes`);
    return { text: await file.readFile("utf8"), exposed: (mode & 0o077) !== 0 };
  } catch (error) {
    throw new WkfsError("CONFIG_INVALID", `cannot read ${path}: ${messageOf(error)}`, {
      hint: "Check the path and who may read it.",
      cause: error,
    });
  }
}

/** What to say about keys that lie around, or undefined. */
export function exposedWarning(path: string, exposed: boolean): string | undefined {
  return exposed
    ? `Warning: other users can read ${path}, and with it the keys. Delete it when you no longer need it.`
    : undefined;
}
