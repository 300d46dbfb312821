/** Writes docs/configuration.md, from the schemas that check the configuration: `npm run reference`. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { PluginKind } from "@wkfs/core";
import { type Key, clientKeys, serverKeys } from "./keys.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** Where the page stands. */
export const PAGE = join(root, "docs/configuration.md");

const KINDS: Readonly<Record<PluginKind, readonly [heading: string, text: string]>> = {
  firewall: [
    "Packet filters",
    "An entry of `firewall`. [Guard and allow](guard-and-allow.md) says what the two modes are.",
  ],
  transport: ["Transports", "What stands in `transport`. [Hardening](hardening.md) says which is the better one."],
  store: ["Stores", "What stands in `store`."],
  notifier: ["Notifiers", "An entry of `notify`. Each takes `events` too."],
};

/** Rules of the tables of Markdown. */
const cell = (text: string) => text.replaceAll("|", "\\|");

function table(keys: readonly Key[]): string {
  const rows = keys.map(
    ({ path, takes, preset, required, meaning }) =>
      `| \`${path}\` | ${cell(takes)} | ${cell(preset ?? (required ? "required" : ""))} | ${cell(meaning)} |`,
  );
  return ["| key | takes | default | meaning |", "|---|---|---|---|", ...rows].join("\n");
}

export async function page(): Promise<string> {
  const { keys, plugins } = await serverKeys();
  const kinds = (Object.keys(KINDS) as PluginKind[]).map((kind) => {
    const [heading, text] = KINDS[kind];
    const own = plugins.filter((plugin) => plugin.kind === kind);
    return `## ${heading}\n\n${text}\n\n${own.map((plugin) => section(plugin.name, plugin.keys)).join("\n\n")}`;
  });
  return `# Configuration reference

<!-- Written by \`npm run reference\` from the schemas that check the configuration. A test compares. -->

One YAML file on each side. It is strict: an unknown key is an error that names file, line and the nearest known key. Paths of keys,
secrets and certificates are relative to the folder of the file.

| command | what it does |
|---|---|
| \`wkfs config check\` | checks all of it, plugins and secrets included, and touches nothing |
| \`wkfs config schema\` | prints the JSON Schema that this page is made of, with the plugins that are installed, for editors |
| \`man wkfs.yaml\` | this page on a terminal |

## Server

Found by \`--config\`, else \`WKFS_CONFIG\`, else \`/etc/wkfs/wkfs.yaml\`.

\`\`\`yaml
protect:
  tcp: [22, 5432]
  udp: [1194]
  maxTime: 600
gateway:
  listen: 127.0.0.1:8080
  path: /8f3c0c5e
  trustedProxies: [127.0.0.1]
  keys: /etc/wkfs/v1.json
transport: { use: localhost-tcp, host: 127.0.0.1, port: 33491, secret: /etc/wkfs/transport.secret }
firewall:
  - { use: iptables,  mode: guard, parent: INPUT, chain: wkfs }
  - { use: ip6tables, mode: guard, parent: INPUT, chain: wkfs }
store: { use: sqlite, path: /var/lib/wkfs/wkfs.db }
notify:
  - { use: smtp-email, host: mail.example.org, port: 587, from: wkfs@example.org, to: [ops@example.org] }
control: { path: /run/wkfs/control.sock }
\`\`\`

\`[]\` in a key is an entry of a list. What stands beside \`use:\` belongs to the plugin, and is below.

${table(keys)}

${kinds.join("\n\n")}

## Client

Found by \`--config\`, else \`WKFS_CONFIG\`, else \`$XDG_CONFIG_HOME/wkfs/client.yaml\`, else \`~/.config/wkfs/client.yaml\`.

\`\`\`yaml
url: https://www.example.org/8f3c0c5e
keys: v1.json
tcp: [22]
maxTime: 10m
ca: server.pem
\`\`\`

${table(clientKeys())}
`;
}

function section(name: string, keys: readonly Key[]): string {
  const more = `plugins/${name}.md`;
  const link = existsSync(join(root, "docs", more)) ? `More: [${name}](${more}).` : undefined;
  const what = keys.length === 0 ? "It has no keys." : table(keys);
  return [`### ${name}`, link, what].filter((part) => part !== undefined).join("\n\n");
}

if (import.meta.main) writeFileSync(PAGE, await page());
