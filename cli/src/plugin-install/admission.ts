import { API_VERSION, type PluginKind, WkfsError } from "@wkfs/core";
import { z } from "zod";
import { KINDS } from "../plugin-package/plugin-package.ts";
import { NAMING, useOf } from "./package-name.ts";

const names = z.record(z.string(), z.unknown()).optional();

/** Of a package.json, what decides whether the package is a plugin for this wkfs. */
const descriptionSchema = z.looseObject({
  name: z.string(),
  // It becomes a part of a file's name.
  version: z.string().regex(/^\d+\.\d+\.\d+[\w.+-]{0,100}$/),
  wkfs: z.unknown().optional(),
  dependencies: names,
  optionalDependencies: names,
  oclif: names,
});
/** Of `oclif` in a package.json, what would run at every command of wkfs, the one that uninstalls the package among them. */
const INTRUDING = ["hooks", "plugins"];
const keySchema = z.looseObject({ apiVersion: z.number(), kind: z.enum(KINDS).optional() });

export interface Admitted {
  readonly name: string;
  readonly version: string;
  /** What `use:` says. */
  readonly use: string;
  /** When the package says it; else its code has to be asked. */
  readonly kind: PluginKind | undefined;
}

/**
 * Decides by its package.json alone, before anything of a package is fetched, unpacked or run, whether it is a plugin for
 * this wkfs. Throws `PLUGIN_INVALID`, with what to do. `what` names the package for the error, as it was asked for.
 */
export function admit(description: unknown, what: string): Admitted {
  const parsed = descriptionSchema.safeParse(description);
  if (!parsed.success) {
    throw refusal(`${what} has no package.json with name and version`, "Look whether this is the right package.");
  }
  const { name, version, wkfs, dependencies, optionalDependencies, oclif = {} } = parsed.data;
  const use = useOf(name);
  if (use === undefined) throw refusal(`${what} has the package name "${name}", and no plugin is called so`, NAMING);
  const said = `${name} ${version}`;
  const key = keySchema.safeParse(wkfs);
  if (wkfs === undefined || !key.success) {
    const fault = wkfs === undefined ? "no key" : "a wrong key";
    throw refusal(
      `${said} is no plugin of wkfs: its package.json has ${fault} "wkfs"`,
      `Look whether this is the right package. Its author writes: "wkfs": { "apiVersion": ${API_VERSION}, "kind": "…" }, and the kind is ${KINDS.join(", ")}.`,
    );
  }
  const { apiVersion, kind } = key.data;
  if (apiVersion !== API_VERSION) throw otherApi(said, name, apiVersion);
  if ("@wkfs/core" in { ...dependencies, ...optionalDependencies }) {
    throw refusal(
      `${said} brings a second @wkfs/core along: it stands in its dependencies`,
      "Its author moves @wkfs/core to peerDependencies and marks it as optional in peerDependenciesMeta.",
    );
  }
  const intruding = INTRUDING.find((one) => one in oclif);
  if (intruding !== undefined) {
    throw refusal(
      `${said} would run code at every command of wkfs: its package.json has "oclif": { "${intruding}": … }`,
      "Its author takes that out: a plugin may add commands, and nothing else.",
    );
  }
  return { name, version, use, kind };
}

function otherApi(said: string, name: string, apiVersion: number): WkfsError {
  return refusal(
    `${said} is for version ${apiVersion} of the plugin contracts; this wkfs has version ${API_VERSION}`,
    apiVersion > API_VERSION
      ? `Update wkfs, or install an older version of the plugin: wkfs plugins install ${name}@VERSION`
      : `Install a newer version of it: wkfs plugins install ${name}@latest; or ask its author for one.`,
  );
}

function refusal(message: string, hint: string): WkfsError {
  return new WkfsError("PLUGIN_INVALID", message, { hint });
}
