import { readFile } from "node:fs/promises";
import { type PluginContext, WkfsError, messageOf } from "@wkfs/core";
import type { WebhookConfig } from "./config.ts";

/** Where requests go and what they are signed with, as the files have it now. */
export interface Endpoint {
  readonly url: URL;
  /** The key of the signature. */
  readonly key: Buffer | undefined;
  readonly token: string | undefined;
  /** PEM certificates. */
  readonly ca: string | undefined;
}

/** Throws `SECRET_INVALID` for the files of secrets, and `CONFIG_INVALID` for what is no URL and for certificates. */
export async function readEndpoint(config: WebhookConfig, { readSecret }: PluginContext): Promise<Endpoint> {
  const { urlFile, secret, token, ca } = config;
  const url = urlOf(config.url ?? (await readSecret(urlFile!)).trim(), urlFile);
  const endpoint = {
    url,
    key: secret === undefined ? undefined : keyOf(await readSecret(secret), secret),
    token: token === undefined ? undefined : tokenOf(await readSecret(token), token),
    ca: ca === undefined ? undefined : await certificatesIn(ca),
  };
  if (endpoint.token !== undefined && url.protocol === "http:" && !isLoopback(url.hostname)) {
    throw new WkfsError("CONFIG_INVALID", "webhook: a token does not go over a line that others can read", {
      hint: "Give a URL that begins with https://, or leave the token out.",
    });
  }
  return endpoint;
}

function urlOf(text: string, file: string | undefined): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new WkfsError("CONFIG_INVALID", `webhook: the file ${file} holds no URL`, {
      hint: "It must hold one line that begins with http:// or https://.",
    });
  }
  if (url.username === "" && url.password === "") return url;
  throw new WkfsError("CONFIG_INVALID", "webhook: there is a login in the URL", {
    hint: "Put a bearer token into a file and name that with `token`.",
  });
}

/** `whsec_` and base64, as Standard Webhooks writes keys, or any text. */
function keyOf(text: string, file: string): Buffer {
  const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)?.[1];
  const key = base64 === undefined ? Buffer.from(text) : Buffer.from(base64, "base64");
  if (key.length >= 16) return key;
  throw new WkfsError("SECRET_INVALID", `the secret ${file} has less than 16 bytes`, {
    hint: `Write a new one, such as: openssl rand -hex 32 > ${file}`,
  });
}

function tokenOf(text: string, file: string): string {
  if (/^[\x21-\x7e]{1,4096}$/.test(text)) return text;
  throw new WkfsError("SECRET_INVALID", `the secret ${file} holds no token`, { hint: "It must hold one word." });
}

async function certificatesIn(path: string): Promise<string> {
  const hint = "Name a file of PEM certificates in `ca` of webhook.";
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw new WkfsError("CONFIG_INVALID", `webhook: cannot read the certificates ${path}: ${messageOf(error)}`, {
      hint,
    });
  });
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new WkfsError("CONFIG_INVALID", `webhook: there is no certificate in ${path}`, { hint });
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
