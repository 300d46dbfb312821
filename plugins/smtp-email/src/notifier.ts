import { hostname } from "node:os";
import { type Notification, type Notifier, WkfsError } from "@wkfs/core";
import type { SmtpConfig } from "./config.ts";
import { formatMail } from "./message.ts";

/** What nodemailer puts into the errors of a conversation. */
interface SmtpFailure {
  readonly code?: string;
  readonly responseCode?: number;
  readonly command?: string;
  readonly message: string;
}

/** One connection a mail: they are rare, and a server that is down holds nothing of ours. */
export class SmtpNotifier implements Notifier {
  readonly #config: SmtpConfig;
  readonly #password: string | undefined;
  readonly #ca: string | undefined;

  constructor(config: SmtpConfig, password: string | undefined, ca: string | undefined) {
    this.#config = config;
    this.#password = password;
    this.#ca = ca;
  }

  async notify(notification: Notification, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { createTransport } = await import("nodemailer");
    const { host, port, secure, requireTLS, user, timeout, from, to } = this.#config;
    const limit = timeout * 1000;
    const transport = createTransport({
      host,
      port,
      secure,
      requireTLS,
      connectionTimeout: limit,
      greetingTimeout: limit,
      socketTimeout: limit,
      tls: { minVersion: "TLSv1.2", ...(this.#ca !== undefined && { ca: this.#ca }) },
      ...(user !== undefined && this.#password !== undefined && { auth: { user, pass: this.#password } }),
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    const { subject, text } = formatMail(notification);
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => {
      transport.close();
      aborted.reject(
        new WkfsError("NOTIFY_FAILED", `mail by ${host}:${port} was broken off`, { hint: "It is tried again." }),
      );
    };
    signal.addEventListener("abort", abort, { once: true });
    try {
      const sending = transport.sendMail({
        from: { name: "wkfs", address: from },
        to,
        subject,
        text,
        // The same at every try, so that a mail that came twice is seen to be one (RFC 5322, 3.6.4).
        messageId: `<${notification.id}@${hostname()}>`,
        headers: { "Auto-Submitted": "auto-generated" },
      });
      const { rejected } = await Promise.race([sending, aborted.promise]);
      if (rejected.length === to.length)
        throw { message: "no recipient was taken", responseCode: 550 } satisfies SmtpFailure;
    } catch (error) {
      throw error instanceof WkfsError ? error : this.#failure(error as SmtpFailure);
    } finally {
      signal.removeEventListener("abort", abort);
      aborted.promise.catch(() => {});
      transport.close();
    }
  }

  async close(): Promise<void> {}

  /**
   * A 5xx about the mail itself is final (RFC 5321, 4.2.1). One about the login is not: the administrator can mend that, and
   * the mail waits for it.
   */
  #failure({ code, responseCode, message }: SmtpFailure): WkfsError {
    const { host, port } = this.#config;
    const text = `mail by ${host}:${port}: ${this.#withoutPassword(message).slice(0, 300)}`;
    const final =
      code !== "EAUTH" &&
      code !== "ETLS" &&
      responseCode !== undefined &&
      responseCode >= 500 &&
      responseCode !== 530 &&
      responseCode !== 535;
    if (final)
      return new WkfsError("NOTIFY_REJECTED", text, {
        hint: "Check `from` and `to` in the configuration, and what the mail server says in its log.",
      });
    return new WkfsError("NOTIFY_FAILED", text, {
      hint:
        code === "EAUTH"
          ? "Check `user` and the file of `password`."
          : "Check host, port and TLS of the mail server, and that it runs.",
    });
  }

  #withoutPassword(text: string): string {
    return this.#password === undefined
      ? text
      : text
          .replaceAll(this.#password, "[secret]")
          .replaceAll(Buffer.from(this.#password).toString("base64"), "[secret]");
  }
}
