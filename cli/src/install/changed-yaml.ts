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
  const written = value === undefined ? undefined : spliced(text, parseDocument(text), path, value);
  if (written !== undefined && isDeepStrictEqual(safely(written), wanted)) return written;
  return document.toString({ lineWidth: 0 });
}

function spliced(text: string, document: Document, path: Path, value: unknown): string | undefined {
  const node = document.getIn(path, true);
  if (!isNode(node))
    return path.length === 1 ? `${text.replace(/\n*$/, "\n")}\n${path[0]}: ${yamlValue(value)}\n` : undefined;
  if (!node.range) return undefined;
  const [from, to] = node.range;
  const old = text.slice(from, to);
  const end = /\s*$/.exec(old)![0];
  return (
    text.slice(0, from) + inPlace(value, isCollection(node) && node.flow !== true, text, from) + end + text.slice(to)
  );
}

/** Lists of mappings have a line for each. */
function inPlace(value: unknown, block: boolean, text: string, from: number): string {
  if (!Array.isArray(value) || value.length === 0 || typeof value[0] !== "object") return yamlValue(value);
  const indent = block ? " ".repeat(from - text.lastIndexOf("\n", from - 1) - 1) : "  ";
  const lines = value.map((item) => `- ${yamlValue(item)}`).join(`\n${indent}`);
  return block ? lines : `\n${indent}${lines}`;
}

function safely(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
