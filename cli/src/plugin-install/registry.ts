import { WkfsError, isWkfsError } from "@wkfs/core";
import { z } from "zod";
import { type Admitted, admit } from "./admission.ts";
import { npm } from "./npm.ts";
import { useOf } from "./package-name.ts";
import type { PluginSource } from "./source.ts";

type InRegistry = Extract<PluginSource, { readonly from: "registry" }>;

const FIELDS = ["name", "version", "wkfs", "dependencies", "optionalDependencies"];
const answerSchema = z.union([
  z.looseObject({ name: z.string() }),
  z.array(z.looseObject({ name: z.string() })).min(1),
]);

/**
 * The version that the registry has for what was asked for, by the first of its names that is there. Only descriptions are
 * asked for; no package is fetched. Throws `PLUGIN_INVALID` when there is none, or when what is there is no plugin for us.
 */
export async function inRegistry({ packages, tag }: InRegistry, dataDir: string): Promise<Admitted> {
  for (const name of packages) {
    const description = await described(`${name}@${tag}`, dataDir);
    if (description !== undefined) return admit(description, `${name}@${tag}`);
  }
  const asked = packages.map((name) => (tag === "latest" ? name : `${name}@${tag}`)).join(" nor ");
  throw new WkfsError("PLUGIN_INVALID", `the registry has no ${asked}`, {
    hint: `Look at the spelling. A tarball or a folder is given as a path: wkfs plugins install ./${useOf(packages[0]!)}`,
  });
}

async function described(spec: string, dataDir: string): Promise<unknown> {
  try {
    const answer = await npm(dataDir, "view", spec, ...FIELDS);
    if (answer === undefined) return undefined;
    const versions = answerSchema.parse(answer);
    // Several fit a range: the last is the newest.
    return Array.isArray(versions) ? versions.at(-1) : versions;
  } catch (error) {
    if (isWkfsError(error, "PLUGIN_INVALID") && error.cause instanceof Error && error.cause.message === "E404") {
      return undefined;
    }
    throw error;
  }
}
