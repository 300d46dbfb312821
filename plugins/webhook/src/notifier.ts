import { createHmac } from "node:crypto";
import { type Notification, type Notifier, type PluginContext, WkfsError, messageOf, singleLine } from "@wkfs/core";
import type { WebhookConfig } from "./config.ts";
import { messageFor } from "./message.ts";

/** Statuses of the 400s that are about the moment or the login, not about the message: it is tried again. */
const LATER = new Set([401, 403, 407, 408, 425, 429]);
/** Most bytes of an answer that are looked at. */
const ANSWER_LIMIT = 2048;

/** Where requests go and what they are signed with, as the files have it now. */
export interface Endpoint {
  readonly url: string;
  readonly secret: string | undefined;
  readonly token: string | undefined;
}

/** Throws `SECRET_INVALID`, and `CONFIG_INVALID` for a file that holds no URL. */
export async function readEndpoint(config: WebhookConfig, { readSecret }: PluginContext): Promise<Endpoint> {
  const { urlFile, secret, token } = config;
  const url = config.url ?? (await readSecret(urlFile!)).trim();
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
    throw new WkfsError("CONFIG_INVALID", `webhook: the file ${urlFile} holds no URL`, {
      hint: "It must hold one line that begins with http:// or https://.",
    });
  }
  return {
    url,
    secret: secret === undefined ? undefined : await readSecret(secret),
    token: token === undefined ? undefined : await readSecret(token),
  };
}

/**
 * One POST request a message. Signed, it carries `X-Wkfs-Signature: sha256=` and the hexadecimal HMAC-SHA-256 (RFC 2104) of its
 * body. What it says of the receiver is the host only: the rest of a URL may be a secret.
 */
export class WebhookNotifier implements Notifier {
  readonly #config: WebhookConfig;
  readonly #context: PluginContext;
  readonly #closed = new AbortController();

  constructor(config: WebhookConfig, context: PluginContext) {
    this.#config = config;
    this.#context = context;
  }

  async notify(notification: Notification, signal: AbortSignal): Promise<void> {
    const { timeout } = this.#config;
    const endpoint = await readEndpoint(this.#config, this.#context).catch((error: unknown) => {
      throw failed(messageOf(error), "It is read again at the next try.");
    });
    const { host } = new URL(endpoint.url);
    const tooLong = AbortSignal.timeout(timeout * 1000);
    const end = AbortSignal.any([signal, this.#closed.signal, this.#context.signal, tooLong]);
    try {
      const response = await post(endpoint, messageFor(this.#config.format, notification), end);
      const said = await beginningOf(response);
      if (!response.ok) throw refusal(response.status, `${host} answered with status ${response.status}${said}`);
    } catch (error) {
      if (error instanceof WkfsError) throw error;
      if (!end.aborted) throw failed(`no answer from ${host}: ${reasonOf(error)}`, "Check the URL and the network.");
      const late = end.reason === tooLong.reason;
      throw late
        ? failed(`${host}: no answer after ${timeout} s`, "Raise `timeout` of webhook where that is to be expected.")
        : failed(`${host}: broken off`, "It is tried again.");
    }
  }

  async close(): Promise<void> {
    this.#closed.abort();
  }
}

/** A redirection is not followed: what is signed and secret goes where the configuration says. */
async function post(
  { url, secret, token }: Endpoint,
  { body, headers }: ReturnType<typeof messageFor>,
  signal: AbortSignal,
): Promise<Response> {
  signal.throwIfAborted();
  return await fetch(url, {
    method: "POST",
    redirect: "manual",
    body,
    signal,
    headers: {
      ...headers,
      "user-agent": "wkfs",
      ...(secret !== undefined && {
        "x-wkfs-signature": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`,
      }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
  });
}

/** What an error answer says first, to be shown; the rest is not read. */
async function beginningOf({ ok, body }: Response): Promise<string> {
  if (body === null) return "";
  if (ok) {
    await body.cancel();
    return "";
  }
  let text = "";
  const decoder = new TextDecoder();
  for await (const piece of body) {
    text += decoder.decode(piece as Uint8Array, { stream: true });
    if (text.length >= ANSWER_LIMIT) break;
  }
  return text === "" ? "" : `: ${singleLine(text.trim())}`;
}

/** A message that the other side will never take is dropped; for everything else it may be mended meanwhile. */
function refusal(status: number, text: string): WkfsError {
  if (status < 300 || status >= 500 || LATER.has(status)) {
    return failed(text, "See what the other side says, and the files of `token` and `secret`.");
  }
  return new WkfsError("NOTIFY_REJECTED", text, {
    hint: "Check the URL, which is not redirected, and `format` of webhook.",
  });
}

function failed(text: string, hint: string): WkfsError {
  return new WkfsError("NOTIFY_FAILED", text, { hint });
}

/** fetch says only that it failed; why stands in the cause. */
function reasonOf(error: unknown): string {
  return error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
}
