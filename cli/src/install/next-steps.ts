import { hostname } from "node:os";
import { dirname } from "node:path";
import type { ServerInstalled } from "./server-config.ts";

/** What the person does next, with the very commands. Names the files with the secrets, never what is in them. */
export function nextSteps(
  { config, keys, secret, stateDir, url, client, kept }: ServerInstalled,
  folderGiven: boolean,
  commands: readonly string[],
): string[] {
  const flag = folderGiven ? ` --config ${shellWord(config)}` : "";
  const remark = (file: string) => (kept.includes(file) ? "  (was there, kept)" : "");
  return [
    `configuration  ${config}`,
    `keys           ${keys}${remark(keys)}`,
    ...(secret === undefined ? [] : [`secret         ${secret}${remark(secret)}`]),
    `state          ${stateDir}`,
    "",
    "On this host:",
    ...hostCommands(commands).map((command) => `  ${command}${flag}`),
    "",
    "On each client, which needs the URL and the keys:",
    `  scp ${shellWord(`${hostname()}:${client.keys}`)} wkfs-v1.json`,
    `  wkfs install client --url ${shellWord(url)} --keys wkfs-v1.json && rm wkfs-v1.json`,
    "  wkfs client open",
    "",
    `Or copy the folder ${dirname(client.config)} as it is to ~/.config/wkfs. Whoever has these keys can open the ports.`,
  ];
}

/** Both halves by hand, or as services and on probation where this wkfs has commands for that. */
function hostCommands(commands: readonly string[]): string[] {
  const service = commands.includes("service:install");
  const activate = commands.includes("activate");
  if (!service && !activate) return ["wkfs daemon", "wkfs serve"];
  return [...(service ? ["wkfs service install"] : ["wkfs serve"]), activate ? "wkfs activate" : "wkfs daemon"];
}

/** A word as a shell takes it. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
