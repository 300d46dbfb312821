import { resolve } from "node:path";
import type { Section } from "./answers.ts";

interface NotifierFlags {
  readonly "smtp-host"?: string | undefined;
  readonly "smtp-port": number;
  readonly "smtp-from"?: string | undefined;
  readonly "smtp-to"?: string[] | undefined;
  readonly "smtp-user"?: string | undefined;
  readonly "smtp-password-file"?: string | undefined;
  readonly "webhook-url"?: string | undefined;
  readonly "webhook-url-file"?: string | undefined;
  readonly "webhook-format"?: string | undefined;
  readonly syslog?: string | undefined;
}

/** The sections of the notifiers that flags ask for. */
export function notifiersOf(flags: NotifierFlags): Section[] {
  const { "smtp-host": host, "smtp-port": port, "smtp-from": from, "smtp-to": to = [], "smtp-user": user } = flags;
  const { "webhook-url": url, "webhook-url-file": urlFile, "webhook-format": format, syslog } = flags;
  const password = flags["smtp-password-file"];
  const login = user === undefined || password === undefined ? {} : { user, password: resolve(password) };
  const hook = url === undefined ? urlFile && { urlFile: resolve(urlFile) } : { url };
  return [
    ...(host === undefined ? [] : [{ use: "smtp-email", host, port, from, to, ...login }]),
    ...(hook ? [{ use: "webhook", ...hook, ...(format !== undefined && { format }) }] : []),
    ...(syslog === undefined ? [] : [{ use: "syslog", to: syslog }]),
  ];
}
