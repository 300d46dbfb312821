import { readFile } from "node:fs/promises";
import { type Notifier, isWkfsError, messageOf } from "@wkfs/core";
import { TEST_LIMIT, sendTestMessage } from "../test-message.ts";
import { type Found, error, ok, warning } from "./finding.ts";
import type { Part } from "./patient.ts";
import { type SmtpServer, type SmtpTalk, talkTo } from "./smtp-dialogue.ts";

const SOON = 14 * 86_400_000;

/** `now` in milliseconds since the epoch. */
export function smtpFindings(talk: SmtpTalk, now: number): Found[] {
  const { reached, failure, startTls, distrust, until } = talk;
  const { host, port, secure, requireTLS } = talk.server;
  const name = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const see = `openssl s_client ${secure ? "" : "-starttls smtp "}-connect ${name}`;
  if (failure !== undefined) {
    if (reached === "nothing")
      return [error(`no mail server answers at ${name}: ${failure}`, `nc -vz ${host} ${port}`)];
    return [error(`the mail server ${name} went no further than "${reached}": ${failure}`, see)];
  }
  const found: Found[] = [];
  const must = secure || requireTLS;
  if (reached !== "encrypted")
    found.push(
      must
        ? error(
            `the mail server ${name} has no STARTTLS, and smtp-email is to use no other`,
            `in the configuration: another port, or secure: true`,
          )
        : warning(`mails go to ${name} in clear: it has no STARTTLS`, "in the configuration: a server with TLS"),
    );
  else if (distrust !== undefined && must)
    found.push(
      error(
        `the certificate of ${name} cannot be trusted: ${distrust}`,
        `${see}  # and in the configuration: ca, or servername`,
      ),
    );
  else if (until !== undefined && must && until - now < SOON)
    found.push(warning(`the certificate of ${name} ends ${new Date(until).toISOString().slice(0, 10)}`, see));
  const how = reached === "encrypted" ? `by TLS${startTls && !secure ? " (STARTTLS)" : ""}` : "in clear";
  return found.length > 0 ? found : [ok(`the mail server ${name} answers ${how}`)];
}

export async function examineSmtp(part: Part & { readonly made: Notifier }, testMail: boolean): Promise<Found[]> {
  const server = part.config as unknown as SmtpServer & { readonly ca?: string };
  const ca = server.ca === undefined ? undefined : await readFile(server.ca, "utf8").catch(() => undefined);
  const found = smtpFindings(await talkTo(server, ca), Date.now());
  return testMail ? [...found, ...(await sendTest(part.made))] : found;
}

async function sendTest(notifier: Notifier): Promise<Found[]> {
  try {
    await sendTestMessage(notifier, AbortSignal.timeout(TEST_LIMIT));
    return [ok("a test mail was taken by the server; look whether it arrives")];
  } catch (failure) {
    return [
      error(`the test mail was not taken: ${messageOf(failure)}`, isWkfsError(failure) ? failure.hint : undefined),
    ];
  }
}
