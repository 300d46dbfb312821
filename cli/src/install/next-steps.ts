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
    ...(secret === undefined ? [] : [`secret         ${secret}${remark(secret)}`]),
    `state          ${stateDir}`,
    "",
    "On this host:",
    `  wkfs service install${flag}`,
    `  wkfs activate${flag}`,
    "",
    `Clients come to ${url}. All that one needs, keys included, prints here, to be handed on over a channel that you trust:`,
    `  wkfs client export${folderGiven ? ` --config ${shellWord(client.config)}` : ""}`,
    "",
    "On each client, which asks for it:",
    "  wkfs client install",
    "  wkfs client open",
  ];
}

/** A word as a shell takes it. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
