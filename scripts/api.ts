/**
 * The public interface of the packages that others import, as text: `npm run api` writes it to `core/api`, test/api.test.ts compares.
 * It is taken from the declarations that the build emits, because TypeScript 7 has no compiler API for the usual tools.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync } from "rolldown/utils";

const core = fileURLToPath(new URL("../core", import.meta.url));
/** Where the reports stand. */
export const FOLDER = join(core, "api");

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

/** A declaration under its name; overloads are one. */
interface Declaration {
  readonly name: string;
  /** Without comments. */
  readonly text: string;
  /** Names of the same file and imported ones that stand in it. */
  readonly names: ReadonlySet<string>;
  /** `Name.member` and the like of what has no doc comment. */
  readonly undocumented: readonly string[];
}

/** Where something is declared that has one name here and perhaps another there. */
interface Origin {
  readonly file: string;
  readonly name: string;
}

interface Module {
  readonly declarations: ReadonlyMap<string, Declaration>;
  readonly imports: ReadonlyMap<string, Origin>;
  readonly exports: ReadonlyMap<string, Origin>;
  readonly stars: readonly string[];
}

const modules = new Map<string, Module>();

function moduleOf(file: string): Module {
  const known = modules.get(file) ?? readModule(file);
  modules.set(file, known);
  return known;
}

function readModule(file: string): Module {
  const text = readFileSync(file, "utf8");
  const { program, comments, errors } = parseSync(file, text, { lang: "dts" });
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]!.message}`);
  const declarations = new Map<string, Declaration>();
  const imports = new Map<string, Origin>();
  const exports = new Map<string, Origin>();
  const stars: string[] = [];
  const at = (source: unknown) => {
    const specifier = String((source as Node)["value"]);
    return specifier.startsWith(".") ? resolve(dirname(file), specifier.replace(/\.ts$/, ".d.ts")) : specifier;
  };
  const isDocumented = (node: Node) =>
    comments.some(({ type, value, end }) => {
      return (
        type === "Block" && value.startsWith("*") && end <= node.start && text.slice(end, node.start).trim() === ""
      );
    });
  const declare = (statement: Node, declared: Node) => {
    for (const { name, node } of namesIn(declared)) {
      const earlier = declarations.get(name);
      const own = withoutComments(text, statement, comments);
      declarations.set(name, {
        name,
        text: earlier === undefined ? own : `${earlier.text}\n${own}`,
        names: new Set([...(earlier?.names ?? []), ...identifiersOf(node)]),
        undocumented: [
          ...(earlier?.undocumented ?? []),
          ...(isDocumented(statement) ? [] : [name]),
          ...membersOf(node).flatMap(({ name: member, node: inner }) =>
            isDocumented(inner) ? [] : [`${name}.${member}`],
          ),
        ],
      });
    }
  };
  for (const statement of program.body as unknown as Node[]) {
    switch (statement.type) {
      case "ImportDeclaration":
        for (const one of statement["specifiers"] as Node[])
          imports.set(nameOf(one["local"]), { file: at(statement["source"]), name: nameOf(one["imported"]) });
        break;
      case "ExportAllDeclaration":
        stars.push(at(statement["source"]));
        break;
      case "ExportNamedDeclaration": {
        const declared = statement["declaration"] as Node | null;
        if (declared !== null) {
          declare(statement, declared);
          for (const { name } of namesIn(declared)) exports.set(name, { file, name });
        }
        const source = statement["source"];
        for (const one of statement["specifiers"] as Node[]) {
          const [local, exported] = [nameOf(one["local"]), nameOf(one["exported"])];
          exports.set(exported, source === null ? { file, name: local } : { file: at(source), name: local });
        }
        break;
      }
      default:
        declare(statement, statement);
    }
  }
  return { declarations, imports, exports, stars };
}

function nameOf(node: unknown): string {
  const { name, value } = (node ?? {}) as { readonly name?: string; readonly value?: unknown };
  return name ?? String(value);
}

function namesIn(declared: Node): { readonly name: string; readonly node: Node }[] {
  if (declared.type === "VariableDeclaration")
    return (declared["declarations"] as Node[]).map((node) => ({ name: nameOf(node["id"]), node }));
  return "id" in declared ? [{ name: nameOf(declared["id"]), node: declared }] : [];
}

/** Members of interfaces, classes and objects that somebody may wonder about. */
function membersOf(node: Node): { readonly name: string; readonly node: Node }[] {
  const body = node["body"] as Node | undefined;
  const members = Array.isArray(body?.["body"]) ? (body["body"] as Node[]) : [];
  return members.flatMap((member) => {
    const key = member["key"] as Node | undefined;
    return key === undefined || key.type === "PrivateIdentifier" ? [] : [{ name: nameOf(key), node: member }];
  });
}

/** Identifiers of a declaration, but for the names of members and parameters. */
function identifiersOf(node: unknown, found = new Set<string>()): Set<string> {
  if (Array.isArray(node)) for (const one of node) identifiersOf(one, found);
  else if (typeof node === "object" && node !== null && "type" in node) {
    const { type, computed } = node as Node;
    if (type === "Identifier") found.add(nameOf(node));
    for (const [field, value] of Object.entries(node)) {
      if (field === "key" && computed !== true) continue;
      identifiersOf(value, found);
    }
  }
  return found;
}

function withoutComments(
  text: string,
  { start, end }: Node,
  comments: readonly { start: number; end: number }[],
): string {
  let clean = "";
  let from = start;
  for (const comment of comments) {
    if (comment.start < from || comment.end > end) continue;
    clean += text.slice(from, comment.start);
    from = comment.end;
  }
  return (clean + text.slice(from, end)).replaceAll(/^\s*\n/gm, "");
}

/** Where an export of a file is declared; undefined when it is another package's. */
function originOf(file: string, name: string): Origin | undefined {
  if (!file.startsWith("/")) return undefined;
  const { declarations, imports, exports, stars } = moduleOf(file);
  const exported = exports.get(name);
  if (exported !== undefined && (exported.file !== file || exported.name !== name))
    return exported.file === file ? originIn(file, exported.name) : originOf(exported.file, exported.name);
  if (declarations.has(name)) return { file, name };
  const imported = imports.get(name);
  if (imported !== undefined) return originOf(imported.file, imported.name);
  for (const star of stars) {
    const found = originOf(star, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The same for a name that is used in a file. */
function originIn(file: string, name: string): Origin | undefined {
  const { declarations, imports } = moduleOf(file);
  if (declarations.has(name)) return { file, name };
  const imported = imports.get(name);
  return imported === undefined ? undefined : originOf(imported.file, imported.name);
}

function exportsOf(file: string): Map<string, Origin> {
  const { exports, stars } = moduleOf(file);
  const found = new Map<string, Origin>();
  for (const star of stars) for (const [name, origin] of exportsOf(star)) found.set(name, origin);
  for (const name of exports.keys()) {
    const origin = originOf(file, name);
    if (origin !== undefined) found.set(name, origin);
  }
  return found;
}

const declarationAt = ({ file, name }: Origin) => moduleOf(file).declarations.get(name)!;
const idOf = ({ file, name }: Origin) => `${file}#${name}`;

interface Entry {
  /** `@wkfs/core/daemon` */
  readonly specifier: string;
  /** Exports by their name here. */
  readonly exported: ReadonlyMap<string, Declaration>;
  /** What their declarations use that no entry point exports, and what that uses. */
  readonly reached: readonly Declaration[];
}

/** `named` are the ids of what has a name at some entry point, and is listed there. */
function readEntry(specifier: string, file: string, named: ReadonlySet<string>): Entry {
  const origins = exportsOf(file);
  const seen = new Set(named);
  const reached: Origin[] = [];
  const queue = [...origins.values()];
  for (let origin = queue.shift(); origin !== undefined; origin = queue.shift()) {
    for (const name of declarationAt(origin).names) {
      const used = originIn(origin.file, name);
      if (used === undefined || seen.has(idOf(used))) continue;
      seen.add(idOf(used));
      reached.push(used);
      queue.push(used);
    }
  }
  return {
    specifier,
    exported: new Map([...origins].map(([name, origin]) => [name, declarationAt(origin)])),
    reached: reached.map(declarationAt),
  };
}

/** The entry points of core that have types. */
export function entries(): Entry[] {
  const { name, exports } = JSON.parse(readFileSync(join(core, "package.json"), "utf8")) as {
    readonly name: string;
    readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
  };
  const files = Object.entries(exports).flatMap(([path, target]) =>
    typeof target === "string" ? [] : [{ specifier: join(name, path), file: resolve(core, target.types) }],
  );
  const named = new Set(files.flatMap(({ file }) => [...exportsOf(file).values()].map(idOf)));
  return files.map(({ specifier, file }) => readEntry(specifier, file, named));
}

/** What the report of an entry point says, by the name of its file. */
export function reports(): Map<string, string> {
  return new Map(
    entries().map(({ specifier, exported, reached }) => {
      const byName = (a: string, b: string) => (a < b ? -1 : 1);
      const parts = [
        `# ${specifier}`,
        "# Written by `npm run api`. What changes here changes for everybody who imports it: see Versions in PLUGINS.md.",
        ...[...exported]
          .toSorted(([a], [b]) => byName(a, b))
          .map(([name, { name: real, text }]) => {
            return name === real ? text : `// as ${name}\n${text}`;
          }),
        ...(reached.length === 0 ? [] : ["# Exported nowhere, but a part of the above."]),
        ...reached.map(({ text }) => text).toSorted(byName),
      ];
      return [`${specifier.split("/")[2] ?? "index"}.txt`, `${parts.join("\n\n")}\n`];
    }),
  );
}

if (import.meta.main) {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER);
  for (const [file, text] of reports()) writeFileSync(join(FOLDER, file), text);
}
