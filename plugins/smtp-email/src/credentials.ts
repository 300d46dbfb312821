import { readFile } from "node:fs/promises";
import { type PluginContext, WkfsError, messageOf } from "@wkfs/core";
import type { SmtpConfig } from "./config.ts";

/** What stands in files beside the configuration. */
export interface Credentials {
  readonly password: string | undefined;
  /** PEM certificates. */
  readonly ca: string | undefined;
}

/** Reads both files. Throws `SECRET_INVALID` for the password, `CONFIG_INVALID` for the certificates. */
export async function readCredentials(config: SmtpConfig, context: PluginContext): Promise<Credentials> {
  const password = config.password === undefined ? undefined : await context.readSecret(config.password);
  return { password, ca: config.ca === undefined ? undefined : await readCertificates(config.ca) };
}

async function readCertificates(path: string): Promise<string> {
  const hint = "Name a file of PEM certificates in `ca` of smtp-email.";
  let text;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new WkfsError("CONFIG_INVALID", `cannot read the certificates ${path}: ${messageOf(error)}`, { hint });
  }
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new WkfsError("CONFIG_INVALID", `there is no certificate in ${path}`, { hint });
}
