import { normalize } from "node:path";
import { z } from "zod";

const entrySchema = z.looseObject({ exports: z.unknown(), main: z.string().optional() });

/** The file of a package, relative to its folder, that `import` would take. */
export function entryFile(description: unknown): string {
  const { exports, main } = entrySchema.parse(description);
  return normalize(entryOf(exports) ?? main ?? "index.js");
}

/** From `exports` in its usual forms. */
function entryOf(exports: unknown): string | undefined {
  if (typeof exports === "string") return exports;
  if (typeof exports !== "object" || exports === null) return undefined;
  for (const [condition, value] of Object.entries(exports)) {
    if (![".", "node", "import", "default", "module-sync"].includes(condition)) continue;
    const entry = entryOf(value);
    if (entry !== undefined) return entry;
  }
  return undefined;
}
