import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type ServerConfig, loadClientConfig, loadServerConfig } from "@wkfs/core/config";
import { parse } from "yaml";
import { CLIENT_FILE, SERVER_FILE } from "../config-path.ts";
import type { FirewallEntry, Section, ServerAnswers } from "./answers.ts";

/** What a former installation left: the proposals of the next one. */
export interface Former {
  /** The file as it is; what of it nobody is asked about stays. */
  readonly text: string;
  readonly config: ServerConfig;
  readonly answers: ServerAnswers;
  /** The group that may read the keys, where there is such a one. */
  readonly gid: number | undefined;
}

/** Undefined where there is none, and where it is not valid: then there is nothing that could be kept. */
export async function formerInstallation(folder: string): Promise<Former | undefined> {
  const file = join(folder, SERVER_FILE);
  const config = await loadServerConfig(file).catch(() => undefined);
  if (config?.gateway === undefined || config.transport === undefined) return undefined;
  const text = await readFile(file, "utf8");
  const client = await loadClientConfig(join(folder, "client", CLIENT_FILE)).catch(() => undefined);
  const keys = await stat(config.keySets[0]!.keys).catch(() => undefined);
  const raw = parse(text) as { readonly firewall?: FirewallEntry[]; readonly notify?: Section[] };
  const { gateway, transport, protect, control } = config;
  const answers: ServerAnswers = {
    ...protect,
    listen: gateway.listen,
    path: gateway.path,
    trustedProxies: gateway.trustedProxies,
    url: client?.url,
    transport: { use: transport.use, ...transport.config },
    firewalls: raw.firewall ?? [],
    notify: raw.notify ?? [],
    control,
  };
  return { text, config, answers, gid: keys === undefined || (keys.mode & 0o040) === 0 ? undefined : keys.gid };
}
