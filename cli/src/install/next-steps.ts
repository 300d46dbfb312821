import { hostname } from "node:os";
import { dirname } from "node:path";
import type { ServerInstalled } from "./server-config.ts";

/** What the person does next, with the very commands. Names the files with the secrets, never what is in them. */
export function nextSteps(
  { config, keys, secret, stateDir, url, client, kept }: ServerInstalled,
  folderGiven: boolean,
): string[] {
  const flag = folderGiven ? ` --config ${shellWord(config)}` : "";
  const remark = (file: string) => (kept.includes(file) ? "  (was there, kept)" : "");
  return [
    `configuration  ${config}`,
    `keys           ${keys}${remark(keys)}`,
    `secret         ${secret}${remark(secret)}`,
    `state          ${stateDir}`,
    "",
    "On this host:",
    `  wkfs daemon${flag}`,
    `  wkfs serve${flag}`,
    "",
    "On each client, which needs the URL and the keys:",
    `  scp ${shellWord(`${hostname()}:${client.keys}`)} wkfs-v1.json`,
    `  wkfs install client --url ${shellWord(url)} --keys wkfs-v1.json && rm wkfs-v1.json`,
    "  wkfs client open",
    "",
    `Or copy the folder ${dirname(client.config)} as it is to ~/.config/wkfs. Whoever has these keys can open the ports.`,
  ];
}

/** A word as a shell takes it. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
