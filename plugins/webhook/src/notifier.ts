import { type Notification, type Notifier, type PluginContext, WkfsError, messageOf, singleLine } from "@wkfs/core";
import type { WebhookConfig } from "./config.ts";
import { type Endpoint, readEndpoint } from "./endpoint.ts";
import { messageFor } from "./message.ts";
import { type Answer, post } from "./post.ts";

/** Statuses of the 400s that are about the moment or the login, not about the message: it is tried again. */
const LATER = new Set([401, 403, 407, 408, 425, 429]);
/** Milliseconds for which a receiver can ask us to keep quiet; a mad one does not silence us for a day. */
const LONGEST_WAIT = 3_600_000;

/** One request a message. What it says of the receiver is the host only: the rest of a URL may be a secret. */
export class WebhookNotifier implements Notifier {
  readonly #config: WebhookConfig;
  readonly #context: PluginContext;
  readonly #closed = new AbortController();
  /** Until when, by the steady clock, the receiver wants no request. */
  #quietUntil = Number.NEGATIVE_INFINITY;

  constructor(config: WebhookConfig, context: PluginContext) {
    this.#config = config;
    this.#context = context;
  }

  async notify(notification: Notification, signal: AbortSignal): Promise<void> {
    const { timeout, format } = this.#config;
    const { clock } = this.#context;
    const endpoint = await readEndpoint(this.#config, this.#context).catch((error: unknown) => {
      throw failed(messageOf(error), "It is read again at the next try.");
    });
    const { host } = endpoint.url;
    // The tries are core's, which does not know of this wish: one that comes too early is none.
    const quiet = this.#quietUntil - clock.steady();
    if (quiet > 0)
      throw failed(`${host} wants no request for another ${Math.ceil(quiet / 1000)} s`, "It is tried again.");
    const tooLong = AbortSignal.timeout(timeout * 1000);
    const end = AbortSignal.any([signal, this.#closed.signal, this.#context.signal, tooLong]);
    try {
      const message = messageFor(format, notification);
      const answer = await post(endpoint, message, idOf(notification), clock.now(), end);
      this.#quietUntil = clock.steady() + Math.min(answer.wait ?? 0, LONGEST_WAIT);
      if (answer.status < 200 || answer.status >= 300) throw refusal(host, answer, endpoint);
    } catch (error) {
      if (error instanceof WkfsError) throw error;
      if (!end.aborted) throw failed(`no answer from ${host}: ${messageOf(error)}`, "Check the URL and the network.");
      throw end.reason === tooLong.reason
        ? failed(`${host}: no answer after ${timeout} s`, "Raise `timeout` of webhook where that is to be expected.")
        : failed(`${host}: broken off`, "It is tried again.");
    }
  }

  async close(): Promise<void> {
    this.#closed.abort();
  }
}

/** What may stand in a header. */
function idOf({ id }: Notification): string {
  return id.replaceAll(/[^\x21-\x2d\x2f-\x7e]/g, "_").slice(0, 200) || "_";
}

/** A message that the other side will never take is dropped; for everything else it may be mended meanwhile. */
function refusal(host: string, { status, text }: Answer, { token }: Endpoint): WkfsError {
  // Some say back what they were sent.
  const said = (token === undefined ? text : text.replaceAll(token, "[token]")).trim();
  const what = singleLine(`${host} answered with status ${status}${said === "" ? "" : `: ${said}`}`);
  if (status < 300 || status >= 500 || LATER.has(status)) {
    return failed(what, "See what the other side says, and the files of `token` and `secret`.");
  }
  const hint = "Check the URL, which is not redirected, and `format` of webhook.";
  return new WkfsError("NOTIFY_REJECTED", what, { hint });
}

function failed(text: string, hint: string): WkfsError {
  return new WkfsError("NOTIFY_FAILED", text, { hint });
}
