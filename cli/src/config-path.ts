import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

export const SERVER_DIR = "/etc/wkfs";

/** Names in the files' folders. */
export const SERVER_FILE = "wkfs.yaml";
export const CLIENT_FILE = "client.yaml";
export const KEYS_FILE = "v1.json";

/** The server's configuration: what `--config` or `WKFS_CONFIG` said, else the file of this host. */
export function serverConfigPath(given: string | undefined): string {
  return given || join(SERVER_DIR, SERVER_FILE);
}

/** The client's configuration: what `--config` or `WKFS_CONFIG` said, else the file of this user. */
export function clientConfigPath(given: string | undefined): string {
  return given || join(clientDir(), CLIENT_FILE);
}

/** A relative `XDG_CONFIG_HOME` counts for nothing, as its specification says. */
export function clientDir(environment: NodeJS.ProcessEnv = process.env): string {
  const base = environment["XDG_CONFIG_HOME"] ?? "";
  return join(isAbsolute(base) ? base : join(homedir(), ".config"), "wkfs");
}
