import type { WkfsError } from "@wkfs/core";
import { type Found, error, ok } from "./finding.ts";
import type { Part } from "./patient.ts";

/** Whether the file can be used, and every plugin be made of it. */
export function configurationFindings(
  file: string,
  fault: WkfsError | undefined,
  parts: readonly Pick<Part, "use" | "where" | "fault">[],
): Found[] {
  if (fault !== undefined) return [error(fault.message, fault.hint)];
  const faults = parts.flatMap((part) => part.fault ?? []);
  if (faults.length > 0) return faults.map(({ message, hint }) => error(message, hint));
  const uses = [...new Set(parts.map(({ use }) => use))];
  return [ok(`${file} is right: ${uses.join(", ") || "no plugins"}`)];
}
