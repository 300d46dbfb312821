/**
 * Writes the man pages into cli/man: one for `wkfs`, one for each command, from what oclif knows of them, and one for each configuration
 * file, from their schemas. A part of the build. `npm run man` also names them in cli/package.json, for npm to put them into place.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Key, clientKeys, serverKeys } from "./keys.ts";
import { entry, heading, paragraphs, subheading, text, title, verbatim } from "./troff.ts";

const cli = fileURLToPath(new URL("../../cli", import.meta.url));
/** Where the pages stand. */
export const FOLDER = join(cli, "man");

interface Flag {
  readonly name: string;
  readonly char?: string;
  readonly description?: string;
  readonly type: "boolean" | "option";
  readonly helpValue?: string;
  readonly options?: readonly string[];
  readonly multiple?: boolean;
  readonly required?: boolean;
  readonly default?: unknown;
  readonly env?: string;
  readonly hidden?: boolean;
  /** Of a boolean: whether `--no-NAME` says the opposite. */
  readonly allowNo?: boolean;
}

interface Argument {
  readonly name: string;
  readonly description?: string;
  readonly required?: boolean;
  readonly options?: readonly string[];
}

interface Command {
  readonly id: string;
  readonly summary?: string;
  readonly description?: string;
  readonly hidden?: boolean;
  /** Where the command takes more than flags and named arguments. */
  readonly usage?: string;
  readonly flags: Readonly<Record<string, Flag>>;
  readonly args: Readonly<Record<string, Argument>>;
  readonly examples?: readonly { readonly description: string; readonly command: string }[];
}

interface Package {
  readonly version: string;
  readonly description: string;
  man?: readonly string[];
}

const manifest = () =>
  JSON.parse(readFileSync(join(cli, "oclif.manifest.json"), "utf8")) as {
    readonly version: string;
    readonly commands: Readonly<Record<string, Command>>;
  };
const packageOf = () => JSON.parse(readFileSync(join(cli, "package.json"), "utf8")) as Package;

const nameOf = (id: string) => `wkfs-${id.replaceAll(":", "-")}`;
const wordsOf = (id: string) => `wkfs ${id.replaceAll(":", " ")}`;
const page = (name: string, section = 1) => `\\fB${text(name)}\\fR(${section})`;
const seeAlso = (pages: readonly string[]) => [heading("See also"), pages.join(",\n")];

/** What oclif fills in. */
const filled = (markdown: string, id: string) =>
  markdown.replaceAll("<%= config.bin %>", "wkfs").replaceAll("<%= command.id %>", id.replaceAll(":", " ")).trim();

const argumentUsage = ({ name, required }: Argument) =>
  required === true ? `\\fI${text(name.toUpperCase())}\\fR` : `[\\fI${text(name.toUpperCase())}\\fR]`;

const long = ({ name, allowNo }: Flag) => `\\-\\-${allowNo === true ? "[no\\-]" : ""}${text(name)}`;

function flagUsage(flag: Flag): string {
  const { char, type, helpValue, options, multiple, required } = flag;
  const value = options?.join("|") ?? helpValue ?? "VALUE";
  const word = `\\fB${char === undefined ? long(flag) : `\\-${char}`}\\fR${type === "boolean" ? "" : ` \\fI${text(value)}\\fR`}`;
  const several = multiple === true ? `${word}...` : word;
  return required === true ? several : `[${several}]`;
}

function flagEntry(flag: Flag): string {
  const { char, type, helpValue, options, description = "", default: preset, env, required } = flag;
  const value = type === "boolean" ? "" : `=\\fI${text(options?.join("|") ?? helpValue ?? "VALUE")}\\fR`;
  const tag = `${char === undefined ? "" : `\\fB\\-${char}\\fR, `}\\fB${long(flag)}\\fR${value}`;
  const more = [
    required === true ? "Required." : undefined,
    preset === undefined || type === "boolean" ? undefined : `Default: ${String(preset)}.`,
    env === undefined ? undefined : `Environment: \`${env}\`.`,
  ].filter((part) => part !== undefined);
  return entry(tag, [description, ...more].join(" "));
}

/** The paragraph that exit-codes.ts writes becomes a section of its own. */
function exitCodes(description: string): { readonly rest: string; readonly codes: readonly string[] } {
  const [rest = "", table] = description.split(/\n*Exit codes:\n/);
  const codes = Array.from((table ?? "").matchAll(/^ *(\d+) {2}(.*)$/gm), ([, code, meaning]) =>
    entry(`\\fB${code}\\fR`, meaning!),
  );
  return { rest, codes };
}

function commandPage(command: Command, siblings: readonly Command[], version: string): string {
  const { id, summary = "", description = "", usage: own, examples = [] } = command;
  const flags = Object.values(command.flags).filter(({ hidden }) => hidden !== true);
  const args = Object.values(command.args);
  const { rest, codes } = exitCodes(filled(description, id));
  const usage = [
    `\\fB${text(wordsOf(id))}\\fR`,
    ...(own === undefined ? args.map(argumentUsage) : [text(own.replace("<%= command.id %> ", ""))]),
    // One of its own that has flags has them all.
    ...(own?.includes("[-") === true ? [] : flags.map(flagUsage)),
  ];
  const parts = [
    title(nameOf(id), 1, version),
    heading("Name"),
    `${text(nameOf(id))} \\- ${text(summary.replace(/\.$/, ""))}`,
    heading("Synopsis"),
    usage.join("\n"),
    heading("Description"),
    paragraphs([filled(summary, id), rest].filter((part) => part !== "").join("\n\n")),
    ...(args.length === 0 ? [] : [heading("Arguments")]),
    ...args.map(({ name, description: what = "", options }) =>
      entry(
        `\\fI${text(name.toUpperCase())}\\fR`,
        options === undefined ? what : `${what} One of ${options.join(", ")}.`,
      ),
    ),
    heading("Options"),
    ...flags.map(flagEntry),
    ...(codes.length === 0 ? [] : [heading("Exit status"), ...codes]),
    ...(examples.length === 0 ? [] : [heading("Examples")]),
    ...examples.flatMap(({ description: what, command: line }, index) => [
      ...(index === 0 ? [] : [".PP"]),
      text(`${filled(what, id)}:`),
      verbatim(filled(line, id)),
    ]),
    ...seeAlso([
      page("wkfs"),
      ...siblings.map((sibling) => page(nameOf(sibling.id))),
      page(id.startsWith("client") || id === "install:client" ? "wkfs-client.yaml" : "wkfs.yaml", 5),
    ]),
  ];
  return `${parts.join("\n")}\n`;
}

function mainPage(commands: readonly Command[], { version, description }: Package): string {
  const parts = [
    title("wkfs", 1, version),
    heading("Name"),
    `wkfs \\- ${text(description.replace(/^[^:]*: /, ""))}`,
    heading("Synopsis"),
    "\\fBwkfs\\fR \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]",
    heading("Description"),
    paragraphs(
      "wkfs keeps protected TCP and UDP ports of a server closed. It opens a port for one IP address and for a limited time, when a client that holds the keys asks for it with an encrypted HTTP or HTTPS request.\n\n" +
        "A **knock** is one request of a client. A **lease** is one opening: address, protocol and port until a deadline. The **gateway** (`wkfs serve`) is the web half and holds no privilege. " +
        "The **daemon** (`wkfs daemon`) decides, writes the kernel, remembers and tells. The **client** (`wkfs client`) is the knocking side.",
    ),
    heading("Commands"),
    ...commands.map(({ id, summary = "" }) => entry(page(nameOf(id)), summary)),
    heading("Environment"),
    entry("\\fBWKFS_CONFIG\\fR", "The configuration file, where no `--config` says another."),
    entry("\\fBWKFS_DATA_DIR\\fR", "The folder of plugins that were installed; for root `/var/lib/wkfs`."),
    entry("\\fBXDG_CONFIG_HOME\\fR", "The folder that the client's `wkfs/client.yaml` is in; else `~/.config`."),
    entry("\\fBDEBUG\\fR", "Set to anything, errors come with the place in the code that they come from."),
    heading("Files"),
    entry("\\fI/etc/wkfs/wkfs.yaml\\fR", "The server's configuration."),
    entry("\\fI/etc/wkfs/v1.json\\fR", "The keys. Whoever has them can knock."),
    entry("\\fI/var/lib/wkfs/wkfs.db\\fR", "What is leased, and the history."),
    entry("\\fI~/.config/wkfs/client.yaml\\fR", "The client's configuration."),
    ...seeAlso([page("wkfs.yaml", 5), page("wkfs-client.yaml", 5), page("nft", 8), page("iptables", 8)]),
  ];
  return `${parts.join("\n")}\n`;
}

function keyEntries(keys: readonly Key[]): readonly string[] {
  return keys.map(({ path, takes, preset, required, meaning }) => {
    const state = preset === undefined ? (required ? " Required." : "") : ` Default: ${preset}.`;
    return entry(`\\fB${text(path)}\\fR (${text(takes)})`, `${meaning}${state}`);
  });
}

async function serverFilePage(version: string): Promise<string> {
  const { keys, plugins } = await serverKeys();
  const kinds = {
    firewall: "Packet filters",
    transport: "Transports",
    store: "Stores",
    notifier: "Notifiers",
  } as const;
  const parts = [
    title("wkfs.yaml", 5, version),
    heading("Name"),
    "wkfs.yaml \\- configuration of a wkfs server",
    heading("Description"),
    paragraphs(
      "A YAML file, found by `--config`, else `WKFS_CONFIG`, else `/etc/wkfs/wkfs.yaml`. It is strict: an unknown key is an error that names file, line and the nearest known key. " +
        "Paths of keys, secrets and certificates are relative to its folder. `wkfs config check` checks all of it.\n\n" +
        "`[]` in a key is an entry of a list. What stands beside `use` belongs to the plugin.",
    ),
    heading("Keys"),
    ...keyEntries(keys),
    ...Object.entries(kinds).flatMap(([kind, words]) => [
      heading(words),
      ...plugins
        .filter((plugin) => plugin.kind === kind)
        .flatMap(({ name, keys: own }) => [
          subheading(`use: ${name}`),
          ...(own.length === 0 ? ["It has no keys."] : keyEntries(own)),
        ]),
    ]),
    heading("Example"),
    verbatim(
      "protect: { tcp: [22], maxTime: 10m }\ngateway: { listen: 127.0.0.1:8080, path: /8f3c0c5e, keys: v1.json, trustedProxies: [127.0.0.1] }\n" +
        "transport: { use: localhost-tcp, secret: transport.secret }\nfirewall: [{ use: nftables }]\nstore: { use: sqlite, path: /var/lib/wkfs/wkfs.db }",
    ).replace(".PP\n", ""),
    ...seeAlso([page("wkfs"), page("wkfs-daemon"), page("wkfs-serve"), page("wkfs-config-check")]),
  ];
  return `${parts.join("\n")}\n`;
}

function clientFilePage(version: string): string {
  const parts = [
    title("wkfs-client.yaml", 5, version),
    heading("Name"),
    "wkfs\\-client.yaml \\- configuration of a wkfs client",
    heading("Description"),
    paragraphs(
      "A YAML file, found by `--config`, else `WKFS_CONFIG`, else `$XDG_CONFIG_HOME/wkfs/client.yaml`, else `~/.config/wkfs/client.yaml`. It is strict: an unknown key is an error. Paths are relative to its folder.",
    ),
    heading("Keys"),
    ...keyEntries(clientKeys()),
    heading("Example"),
    verbatim("url: https://www.example.org/8f3c0c5e\nkeys: v1.json\ntcp: [22]").replace(".PP\n", ""),
    ...seeAlso([page("wkfs"), page("wkfs-client"), page("wkfs-client-open")]),
  ];
  return `${parts.join("\n")}\n`;
}

/** All pages, by the names of their files. */
export async function manPages(): Promise<ReadonlyMap<string, string>> {
  const description = packageOf();
  const { version } = description;
  const commands = Object.values(manifest().commands)
    .filter(({ hidden }) => hidden !== true)
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const topicOf = ({ id }: Command) => id.split(":")[0];
  return new Map([
    ["wkfs.1", mainPage(commands, description)],
    ["wkfs.yaml.5", await serverFilePage(version)],
    ["wkfs-client.yaml.5", clientFilePage(version)],
    ...commands.map((command) => {
      const siblings = commands.filter((other) => other !== command && topicOf(other) === topicOf(command));
      return [`${nameOf(command.id)}.1`, commandPage(command, siblings, version)] as const;
    }),
  ]);
}

/** What `man` of cli/package.json says when it names them all. */
export const named = (pages: ReadonlyMap<string, string>) => [...pages.keys()].toSorted().map((file) => `man/${file}`);

if (import.meta.main) {
  const pages = await manPages();
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER);
  for (const [file, content] of pages) writeFileSync(join(FOLDER, file), content);
  if (process.argv.includes("--name")) {
    const description = packageOf();
    description.man = named(pages);
    writeFileSync(join(cli, "package.json"), `${JSON.stringify(description, undefined, 2)}\n`);
  }
}
