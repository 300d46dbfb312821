import leven from "leven";
import { type Document, LineCounter, isCollection, isMap, isScalar, parseDocument } from "yaml";
import type { ConfigSchema, SchemaIssue } from "../contracts/plugin.ts";
import { WkfsError } from "../model/errors.ts";

/** Keys and indexes from the top of the file to a value. */
export type ConfigPath = readonly (string | number)[];

/** Where values of a configuration stand, so that an error can point there. */
export interface ConfigSource {
  /** `file:line` of what stands at this path, or of the nearest thing around it. */
  locate(path: ConfigPath): string;
}

/** A configuration that was made by a program: there are no lines to point at. */
export const programSource: ConfigSource = { locate: (path) => `config.${path.join(".")}` };

/** Reads YAML strictly: one document, no duplicate keys, no tags. Throws `CONFIG_INVALID`. */
export function parseYaml(text: string, file: string): { readonly value: unknown; readonly source: ConfigSource } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, strict: true, uniqueKeys: true });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    throw new WkfsError("CONFIG_INVALID", `${file}:${lines.linePos(problem.pos[0]).line}: ${problem.message}`, {
      hint: "Mend the YAML; indentation and quotes are the usual suspects.",
    });
  }
  const source: ConfigSource = {
    locate(path) {
      const offset = offsetOf(document, path);
      return offset === undefined ? `${file}` : `${file}:${lines.linePos(offset).line}`;
    },
  };
  return { value: document.toJS({ maxAliasCount: 100 }), source };
}

function offsetOf(document: Document.Parsed, path: ConfigPath): number | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const key = path[length - 1];
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === key);
      if (isScalar(pair?.key) && pair.key.range) return pair.key.range[0];
    }
    const node = document.getIn(path.slice(0, length), true);
    if ((isCollection(node) || isScalar(node)) && node.range) return node.range[0];
  }
  return document.contents?.range[0];
}

/**
 * Checks a value by a schema and gives the typed one. The error names the place of the first fault and, for an
 * unknown key, the nearest known one. `at` is where the value stands in the source; `what` names it. Throws `CONFIG_INVALID`, and
 * what a schema of somebody else's throws.
 */
export async function checkConfig<Config>(
  schema: ConfigSchema<Config>,
  value: unknown,
  source: ConfigSource,
  at: ConfigPath = [],
  what = "",
): Promise<Config> {
  const result = await schema["~standard"].validate(value);
  if (result.issues === undefined && "value" in result) return result.value;
  if (!Array.isArray(result.issues) || result.issues.length === 0)
    throw new TypeError("the schema gave neither a value nor what is wrong");
  // A misspelt key is also a missing one: the first says more.
  const issues = result.issues.flatMap(closest);
  const issue = issues.find((one) => unknownKeyOf(one) !== undefined) ?? issues[0]!;
  const inner = (issue.path ?? []).map((step) => {
    const key = typeof step === "object" ? step.key : step;
    return typeof key === "number" ? key : String(key);
  });
  const unknown = unknownKeyOf(issue);
  const path = unknown === undefined ? inner : [...inner, unknown];
  const name = [...at, ...path].join(".");
  const prefix = `${source.locate([...at, ...path])}: ${what}`;
  if (unknown === undefined) {
    throw new WkfsError("CONFIG_INVALID", `${prefix}${name || "the file"}: ${issue.message}`, {
      hint: "Mend this line and start again.",
    });
  }
  const known = knownKeysAt(schema, inner);
  const nearest = known.toSorted((a, b) => leven(a, unknown) - leven(b, unknown))[0];
  const close = nearest !== undefined && leven(nearest, unknown) <= Math.max(2, unknown.length / 3);
  throw new WkfsError(
    "CONFIG_INVALID",
    `${prefix}unknown key "${name}"${close ? `; did you mean "${nearest}"?` : ""}`,
    {
      hint: known.length > 0 ? `Known here: ${known.join(", ")}.` : "Take this key out.",
    },
  );
}

/**
 * Where a value may have one of several shapes, zod says of each what does not fit. What was meant is the shape that fits as such
 * and has the fewest faults within; where none does, all that can be said is that the value is none of them.
 */
function closest(issue: SchemaIssue): SchemaIssue[] {
  if (!("code" in issue) || issue.code !== "invalid_union" || !("errors" in issue) || !Array.isArray(issue.errors))
    return [issue];
  const within = (one: SchemaIssue) => (one.path ?? []).length > 0 || unknownKeyOf(one) !== undefined;
  const shapes = (issue.errors as SchemaIssue[][]).filter((faults) => faults.length > 0 && faults.every(within));
  const [meant] = shapes.toSorted((a, b) => a.length - b.length);
  const path = issue.path ?? [];
  return meant?.flatMap((one) => closest({ ...one, path: [...path, ...(one.path ?? [])] })) ?? [issue];
}

/** zod says in its issues which keys it did not know; other schemas put it into the message alone. */
function unknownKeyOf(issue: SchemaIssue): string | undefined {
  if (!("code" in issue) || issue.code !== "unrecognized_keys" || !("keys" in issue) || !Array.isArray(issue.keys))
    return undefined;
  return String(issue.keys[0]);
}

/** The keys that a zod object schema knows at a path; none where the schema is something else. */
function knownKeysAt(schema: unknown, path: ConfigPath): string[] {
  let here: unknown = unwrap(schema);
  for (const step of path) {
    if (typeof here !== "object" || here === null) return [];
    if (typeof step === "number" && "element" in here) here = unwrap(here.element);
    else if ("shape" in here && typeof here.shape === "object" && here.shape !== null)
      here = unwrap((here.shape as Record<string, unknown>)[step]);
    else return [];
  }
  return typeof here === "object" &&
    here !== null &&
    "shape" in here &&
    typeof here.shape === "object" &&
    here.shape !== null
    ? Object.keys(here.shape)
    : [];
}

/** What an optional, defaulted, transformed or alternative schema is about. */
function unwrap(schema: unknown): unknown {
  let here = schema;
  for (let depth = 0; depth < 8 && typeof here === "object" && here !== null && "def" in here; depth += 1) {
    const def = here.def as { innerType?: unknown; in?: unknown; options?: unknown[] };
    const inner = def.innerType ?? def.in ?? def.options?.at(-1);
    if (inner === undefined) break;
    here = inner;
  }
  return here;
}
