import { isDeepStrictEqual } from "node:util";
import { type Document, isCollection, isNode, parse, parseDocument } from "yaml";
import { yamlValue } from "./yaml-text.ts";

/** The values that an installation asks about; all else in a file is the administrator's and stays. */
const ASKED = [
  ["protect", "tcp"],
  ["protect", "udp"],
  ["protect", "maxTime"],
  ["gateway", "listen"],
  ["gateway", "path"],
  ["gateway", "trustedProxies"],
  ["transport"],
  ["firewall"],
  ["notify"],
  ["control"],
] as const;

type Path = (typeof ASKED)[number];

/** The text of a configuration with other answers: only lines that say something else than before are changed. */
export function changedYaml(text: string, before: object, after: object): string {
  const changed = ASKED.filter((path) => !isDeepStrictEqual(at(before, path), at(after, path)));
  let result = text;
  for (const path of changed) result = withValue(result, path, at(after, path));
  return result;
}

function at(value: object, path: Path): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], value);
}

/** In place where that comes out right, so that comments and layout stay; else as the library of YAML writes it. */
function withValue(text: string, path: Path, value: unknown): string {
  const document = parseDocument(text);
  if (value === undefined) document.deleteIn(path);
  else document.setIn(path, document.createNode(value, { flow: path.length > 1 || !Array.isArray(value) }));
  const wanted: unknown = document.toJS();
  const written = spliced(text, parseDocument(text), path, value);
  if (written !== undefined && isDeepStrictEqual(safely(written), wanted)) return written;
  return document.toString({ lineWidth: 0 });
}

function spliced(text: string, document: Document, path: Path, value: unknown): string | undefined {
  const node = document.getIn(path, true);
  if (!isNode(node)) return inserted(text, document, path, value);
  if (!node.range) return undefined;
  const [from, to] = node.range;
  const end = /\s*$/.exec(text.slice(from, to))![0];
  if (value === undefined) return without(text, path, from, to);
  const written = inPlace(value, isCollection(node) && node.flow !== true, text, from);
  const before = text.slice(0, from);
  return (written.startsWith("\n") ? before.trimEnd() : before) + written + end + text.slice(to);
}

/** A section comes last; a key comes first in its section. */
function inserted(text: string, document: Document, path: Path, value: unknown): string | undefined {
  const [section, key] = path;
  if (key === undefined) return `${text.replace(/\n*$/, "\n")}\n${section}: ${yamlValue(value)}\n`;
  const parent = document.get(section, true);
  if (!isCollection(parent) || !parent.range) return undefined;
  const [from] = parent.range;
  const line = `${key}: ${yamlValue(value)}`;
  if (parent.flow === true) return `${text.slice(0, from + 1)} ${line},${text.slice(from + 1)}`;
  return `${text.slice(0, from)}${line}\n${indentOf(text, from)}${text.slice(from)}`;
}

/** Without a section. */
function without(text: string, [section]: Path, from: number, to: number): string {
  const start = text.lastIndexOf(`${section}:`, from);
  const end = text.slice(to);
  return text.slice(0, start) + (text.slice(from, to).endsWith("\n") ? end : end.replace(/^.*\n/, ""));
}

/** Lists of mappings have a line for each. */
function inPlace(value: unknown, block: boolean, text: string, from: number): string {
  if (!Array.isArray(value) || value.length === 0 || typeof value[0] !== "object") return yamlValue(value);
  const indent = block ? indentOf(text, from) : "  ";
  const lines = value.map((item) => `- ${yamlValue(item)}`).join(`\n${indent}`);
  return block ? lines : `\n${indent}${lines}`;
}

/** As far as the text at this place is from the beginning of its line. */
function indentOf(text: string, from: number): string {
  return " ".repeat(from - text.lastIndexOf("\n", from - 1) - 1);
}

function safely(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
