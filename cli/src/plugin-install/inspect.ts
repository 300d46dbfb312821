import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { WkfsError } from "@wkfs/core";
import { useOf } from "./package-name.ts";
import { type PluginRow, type Use, pluginRows } from "./rows.ts";

/** One plugin, as `wkfs plugins inspect` shows it. */
export interface Inspection extends PluginRow {
  readonly description: string | undefined;
  /** Versions of what it depends on; undefined for what is not there. */
  readonly dependencies: Readonly<Record<string, string | undefined>>;
  /** Commands of its own that it adds. */
  readonly commands: readonly string[];
}

interface Description {
  readonly description?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** Throws `PLUGIN_INVALID` when there is no such plugin. */
export async function inspectPlugin(
  name: string,
  dataDir: string,
  uses: readonly Use[] | undefined,
  commandsOf: (packageName: string) => readonly string[],
): Promise<Inspection> {
  const rows = await pluginRows(dataDir, uses);
  const row = rows.find((one) => one.package === name) ?? rows.find((one) => one.name === name);
  if (row === undefined) {
    const use = useOf(name) ?? name;
    throw new WkfsError("PLUGIN_INVALID", `"${name}" is neither bundled nor installed in ${dataDir}`, {
      hint: `\`wkfs plugins\` lists what there is; \`wkfs plugins install ${use}\` gets what the registry has.`,
    });
  }
  const { description, dependencies = {} } = await readDescription(row.folder);
  const versions = await Promise.all(
    Object.keys(dependencies).map(
      async (dependency) => [dependency, await versionFrom(row.folder!, dependency)] as const,
    ),
  );
  const commands = row.package === undefined ? [] : commandsOf(row.package);
  return { ...row, description, dependencies: Object.fromEntries(versions), commands };
}

export function inspectionText(inspection: Inspection): string {
  const { name, kind, version, from, origin, used, usedAt, folder, commands, dependencies, problem } = inspection;
  const lines: readonly (readonly [string, string | undefined])[] = [
    ["use", name],
    ["kind", kind],
    ["package", inspection.package],
    ["version", version],
    ["description", inspection.description],
    ["from", origin === undefined ? from : `${from} ${origin}`],
    ["folder", folder],
    ["used", used === undefined ? "not known: no configuration could be read" : used ? usedAt.join(", ") : "no"],
    ["commands", commands.map((id) => `wkfs ${id.replaceAll(":", " ")}`).join(", ") || undefined],
    [
      "depends on",
      Object.entries(dependencies)
        .map(([dependency, at]) => `${dependency} ${at ?? "MISSING"}`)
        .join(", ") || undefined,
    ],
    ["problem", problem && [problem.message, problem.hint].filter(Boolean).join("\n")],
  ];
  return lines
    .filter(([, text]) => text !== undefined)
    .map(([label, text]) => `${label.padEnd(13)}${text!.replaceAll("\n", `\n${" ".repeat(13)}`)}`)
    .join("\n");
}

async function readDescription(folder: string | undefined): Promise<Description> {
  if (folder === undefined) return {};
  const text = await readFile(join(folder, "package.json"), "utf8").catch(() => "{}");
  return JSON.parse(text) as Description;
}

/** As the plugin itself would find it. */
async function versionFrom(folder: string, dependency: string): Promise<string | undefined> {
  for (const place of createRequire(join(folder, "package.json")).resolve.paths(dependency) ?? []) {
    const text = await readFile(join(place, dependency, "package.json"), "utf8").catch(() => undefined);
    if (text !== undefined) return (JSON.parse(text) as { readonly version?: string }).version;
  }
  return undefined;
}
