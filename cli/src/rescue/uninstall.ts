import { access, rm, rmdir } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { createInterface } from "node:readline/promises";
import { messageOf } from "@wkfs/core";
import { type ServerConfig, loadServerConfig } from "@wkfs/core/config";
import { CLIENT_FILE, KEYS_FILE } from "../config-path.ts";
import { DAEMON_USER, GATEWAY_USER } from "../service/definition.ts";
import { LIST, installedFiles, isAsWritten } from "../service/installed-files.ts";
import { hasSystemd } from "./outside-timer.ts";
import { program } from "./program.ts";
import { endActivation } from "./rescue.ts";
import { rescueFolder } from "./snapshot.ts";
import type { Site } from "./take-down.ts";

const UNIT = /\/systemd\/system\/([\w@.-]+\.(?:service|socket|timer))$/;

/** A number that is given to somebody else later must own nothing that was forgotten: so users are the administrator's to remove. */
const SYSUSERS = "/sysusers.d/wkfs.conf";
const USERS_STAY = `the users ${DAEMON_USER} and ${GATEWAY_USER} stay: \`userdel ${DAEMON_USER}; userdel ${GATEWAY_USER}\` where nothing is theirs any more`;

/** What was done, and whether all of it worked. */
export interface Uninstalled {
  readonly whole: boolean;
  readonly lines: readonly string[];
}

/**
 * Takes the guard down as `wkfs rescue` does, ends and removes the units, and with `purge` configuration, keys and data too.
 * Programs that were started by hand, such as a gateway, are not known and go on.
 */
export async function uninstall(site: Site, purge: boolean): Promise<Uninstalled> {
  // While it can be read: what is to be purged stands in it.
  const config = await loadServerConfig(site.configFile).catch(() => undefined);
  const { down, lines } = await endActivation(site, "ended");
  const failures: string[] = [];
  const removed = await removeServices(dirname(site.configFile), failures);
  if (purge) removed.push(...(await removeAll(filesOf(site, config), failures)));
  const users = removed.some((path) => path.endsWith(SYSUSERS)) ? [USERS_STAY] : [];
  const all = [...lines, ...failures, ...removed.map((path) => `removed ${path}`), ...users];
  return { whole: down && failures.length === 0, lines: all };
}

/** Asks at a terminal; elsewhere everything stays. */
export async function askWhetherToPurge({ configFile, stateDir }: Site): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return false;
  await using asking = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await asking.question(
    `Remove configuration, keys (${dirname(configFile)}) and data (${stateDir}) too? [y/N] `,
  );
  return /^y(es)?$/i.test(answer.trim());
}

async function removeServices(folder: string, failures: string[]): Promise<string[]> {
  const list = join(folder, LIST);
  try {
    const files = await installedFiles(folder);
    if (files.length === 0) return [];
    const units = files.flatMap(({ path }) => UNIT.exec(path)?.[1] ?? []);
    if (hasSystemd() && units.length > 0) {
      const { code, stderr } = await program(["systemctl", "disable", "--now", "--", ...units]);
      if (code !== 0) failures.push(`systemctl disable: ${stderr.trim()}`);
    }
    const ours: string[] = [];
    for (const file of files) {
      if (await isAsWritten(file)) ours.push(file.path);
      else if (await isThere(file.path)) failures.push(`${file.path} stays: somebody has changed it`);
    }
    const removed = await removeAll([...ours, list], failures);
    if (hasSystemd()) await program(["systemctl", "daemon-reload"]);
    return removed;
  } catch (error) {
    failures.push(`${list}: ${messageOf(error)}`);
    return [];
  }
}

/**
 * What belongs to wkfs alone, files before their folders; a folder is removed when nothing else is in it. Of what the configuration
 * names, only what lies beside it: a certificate elsewhere is the web server's too.
 */
function filesOf({ configFile, stateDir }: Site, config: ServerConfig | undefined): string[] {
  const folder = dirname(configFile);
  const store = config?.store?.config["path"];
  const named = [...(config?.keySets.map(({ keys }) => keys) ?? []), join(folder, "transport.secret")];
  const database =
    typeof store === "string" && dirname(store) === stateDir ? [store, `${store}-wal`, `${store}-shm`] : [];
  const client = join(folder, "client");
  return [
    ...named.filter((file) => file.startsWith(folder + sep)),
    join(client, CLIENT_FILE),
    join(client, KEYS_FILE),
    client + sep,
    configFile,
    folder + sep,
    ...database,
    join(stateDir, "probation.json"),
    join(stateDir, "daemon.pid"),
    ...["nft-list-ruleset", "iptables-save", "ip6tables-save", "ipset-list-n", "configuration.json", "timer.log"].map(
      (name) => join(rescueFolder(stateDir), name),
    ),
    rescueFolder(stateDir) + sep,
    stateDir + sep,
  ];
}

/** Those that were there. One that ends in a slash is a folder, and stays when something is in it. */
async function removeAll(paths: readonly string[], failures: string[]): Promise<string[]> {
  const removed: string[] = [];
  for (const path of paths) {
    try {
      await (path.endsWith(sep) ? rmdir(path) : rm(path));
      removed.push(path);
    } catch (error) {
      const { code = "" } = error as NodeJS.ErrnoException;
      if (!["ENOENT", "ENOTEMPTY", "EEXIST"].includes(code)) failures.push(`${path} stays: ${messageOf(error)}`);
    }
  }
  return removed;
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
