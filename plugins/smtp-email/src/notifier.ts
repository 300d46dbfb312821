import { createHash } from "node:crypto";
import { connect } from "node:net";
import { type Notification, type Notifier, type PluginContext, WkfsError, isWkfsError } from "@wkfs/core";
import { relayTo } from "@wkfs/core/host";
import type { SmtpConfig } from "./config.ts";
import { type Credentials, readCredentials } from "./credentials.ts";
import { deliveryFailure, formsOf } from "./failure.ts";
import { formatMail } from "./message.ts";

/** Most bytes of one reply of a server. */
const REPLY_LIMIT = 65_536;
/** Milliseconds that a server has for closing its side when ours is closed. */
const CLOSE_LIMIT = 1000;

/** One connection a mail: they are rare, and a server that is down holds nothing of ours. */
export class SmtpNotifier implements Notifier {
  readonly #config: SmtpConfig;
  readonly #context: PluginContext;
  readonly #closed = new AbortController();

  constructor(config: SmtpConfig, context: PluginContext) {
    this.#config = config;
    this.#context = context;
  }

  async notify(notification: Notification, signal: AbortSignal): Promise<void> {
    const { host, port, user, timeout } = this.#config;
    const server = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    const tooLong = AbortSignal.timeout(timeout * 1000);
    const end = AbortSignal.any([signal, this.#closed.signal, this.#context.signal, tooLong]);
    let secrets: readonly string[] = [];
    try {
      const credentials = await readCredentials(this.#config, this.#context);
      if (user !== undefined && credentials.password !== undefined) secrets = formsOf(user, credentials.password);
      await this.#send(notification, credentials, end);
    } catch (error) {
      if (isWkfsError(error)) throw new WkfsError("NOTIFY_FAILED", error.message, { hint: error.hint ?? "" });
      if (!end.aborted) throw deliveryFailure(error, server, secrets);
      throw tooLong.aborted && end.reason === tooLong.reason
        ? new WkfsError("NOTIFY_FAILED", `mail by ${server}: no end after ${timeout} s`, {
            hint: "See whether the mail server is overloaded, or raise `timeout` of smtp-email.",
          })
        : new WkfsError("NOTIFY_FAILED", `mail by ${server}: broken off`, { hint: "It is tried again." });
    }
  }

  async close(): Promise<void> {
    this.#closed.abort();
  }

  async #send(notification: Notification, { password, ca }: Credentials, signal: AbortSignal): Promise<void> {
    const { host, port, secure, requireTLS, servername, user, timeout, from, to, subjectPrefix } = this.#config;
    // A daemon that tells nobody, or has nothing to tell, does not load it.
    const { createTransport } = await import("nodemailer");
    const limit = timeout * 1000;
    const relay = relayTo({ host, port });
    const transport = createTransport({
      ...(relay !== undefined && { getSocket: connecting(relay, signal) }),
      host,
      port,
      secure,
      requireTLS,
      connectionTimeout: limit,
      dnsTimeout: limit,
      greetingTimeout: limit,
      socketTimeout: limit,
      socketCloseTimeout: CLOSE_LIMIT,
      maxResponseSize: REPLY_LIMIT,
      disableFileAccess: true,
      disableUrlAccess: true,
      tls: {
        minVersion: "TLSv1.2",
        rejectUnauthorized: secure || requireTLS,
        ...(ca !== undefined && { ca }),
        ...(servername !== undefined && { servername }),
      },
      ...(user !== undefined && password !== undefined && { auth: { user, pass: password } }),
    });
    const { subject, text } = formatMail(notification, subjectPrefix);
    const { accepted, rejected } = await transport.sendMail({
      from: { name: "wkfs", address: from },
      to,
      subject,
      text,
      messageId: `<${messageName(notification)}@${from.slice(from.lastIndexOf("@") + 1)}>`,
      headers: { "Auto-Submitted": "auto-generated" },
      signal,
    });
    if (rejected.length === 0) return;
    // Trying again would tell the others twice.
    this.#context.log.warn({ accepted: accepted.length, rejected }, "the mail server refused some of the recipients");
  }
}

/** What nodemailer takes in place of making a connection itself. */
function connecting(path: string, signal: AbortSignal) {
  return (_options: object, callback: (error: Error | null, made: object) => void): void => {
    const connection = connect({ path, signal });
    const refused = (error: Error): void => callback(error, {});
    connection.once("error", refused).once("connect", () => {
      connection.off("error", refused);
      callback(null, { connection });
    });
  };
}

/**
 * The same at every try, so that a mail that came twice is seen to be one (RFC 5322, 3.6.4). With the number of events: a
 * later try may tell of more, and a receiver must not take that for a repetition.
 */
function messageName({ id, events }: Notification): string {
  return createHash("sha256").update(`${events.length} ${id}`).digest("hex").slice(0, 40);
}
