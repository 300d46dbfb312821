import { WkfsError, messageOf } from "@wkfs/core";

/** Most characters of what a server said. */
const LONGEST = 300;
/** Replies to MAIL, RCPT and DATA that are about the login or about TLS (RFC 4954, RFC 3207), not about the mail. */
const ABOUT_THE_SESSION = new Set([503, 530, 534, 535, 538]);
const ABOUT_THE_MAIL = new Set(["MAIL FROM", "RCPT TO", "DATA"]);

/** What nodemailer puts into its errors. */
interface SmtpError {
  readonly code: string | undefined;
  readonly command: string | undefined;
  /** The server's reply. */
  readonly responseCode: number | undefined;
}

/**
 * What a delivery failed with, as `NOTIFY_REJECTED` or `NOTIFY_FAILED`.
 *
 * A 5yz reply to the sender, to every recipient or to the text is the server's last word about this mail (RFC 5321,
 * 4.2.1). Everything else may be mended while the mail waits: a server that is down, greylisting (4yz), a refused
 * login, a missing or wrong certificate, a host that the server does not want to hear at all.
 *
 * The error has no `cause`: nodemailer's own carries all that the server said, which may be the password.
 */
export function deliveryFailure(error: unknown, server: string, secrets: readonly string[]): WkfsError {
  const { code, command, responseCode } = smtpError(error);
  const text = `mail by ${server}: ${quote(messageOf(error), secrets)}`;
  if (responseCode !== undefined && responseCode >= 500 && !ABOUT_THE_SESSION.has(responseCode)) {
    if (command !== undefined && ABOUT_THE_MAIL.has(command)) {
      return new WkfsError("NOTIFY_REJECTED", text, {
        hint: "Check `from` and `to` of smtp-email, and what the mail server says in its log.",
      });
    }
  }
  return new WkfsError("NOTIFY_FAILED", text, { hint: hintFor(code, responseCode) });
}

function hintFor(code: string | undefined, responseCode: number | undefined): string {
  if (code === "EAUTH" || (responseCode !== undefined && ABOUT_THE_SESSION.has(responseCode)))
    return "Check `user` of smtp-email and the file of its `password`; a new password is used at the next try.";
  if (code === "ETLS") return "Check `ca`, `servername` and `requireTLS` of smtp-email, and the server's certificate.";
  if (responseCode !== undefined) return "See what the mail server says in its log.";
  return "Check `host` and `port` of smtp-email, and that the mail server runs.";
}

function smtpError(error: unknown): SmtpError {
  const fields: Readonly<Record<string, unknown>> = typeof error === "object" && error !== null ? { ...error } : {};
  const { code, command, responseCode } = fields;
  return {
    code: typeof code === "string" ? code : undefined,
    command: typeof command === "string" ? command : undefined,
    responseCode: typeof responseCode === "number" ? responseCode : undefined,
  };
}

/** What the other side said, in one line, without what it must not have said. */
function quote(said: string, secrets: readonly string[]): string {
  const clean = secrets.reduce((text, secret) => text.replaceAll(secret, "[secret]"), said);
  return clean.replaceAll(/[\p{C}\p{Zl}\p{Zp}\s]+/gu, " ").slice(0, LONGEST);
}

/** The forms in which a login sends a password (RFC 4616, AUTH LOGIN). */
export function formsOf(user: string, password: string): string[] {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  return [base64(`\0${user}\0${password}`), base64(password), password].filter((form) => form !== "");
}
