import { once } from "node:events";
import { type Socket, connect } from "node:net";
import { type TLSSocket, connect as connectTls } from "node:tls";
import { messageOf } from "@wkfs/core";

/** What the checked configuration of `smtp-email` says about the way to the server. */
export interface SmtpServer {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly requireTLS: boolean;
  readonly servername?: string | undefined;
  readonly user?: string | undefined;
}

/** How far a talk with a mail server came. No mail is sent. */
export interface SmtpTalk {
  readonly server: SmtpServer;
  /** Where it ended: at the first step that failed, or at the last. */
  readonly reached: "nothing" | "connected" | "greeted" | "encrypted";
  /** Why it went no further. */
  readonly failure: string | undefined;
  readonly startTls: boolean;
  /** Why its certificate cannot be trusted; undefined where it can, and where there was none. */
  readonly distrust: string | undefined;
  /** When the certificate ends, in milliseconds since the epoch. */
  readonly until: number | undefined;
}

/** Milliseconds for each step, and characters of one reply. */
const LIMIT = 5000;
const LONGEST_REPLY = 65_536;

/** Connects, greets, asks for TLS where the server has it, looks at the certificate, and leaves. RFC 5321, RFC 3207. */
export async function talkTo(server: SmtpServer, ca: string | undefined): Promise<SmtpTalk> {
  const { host, port, secure } = server;
  const talk = { server, reached: "nothing" as SmtpTalk["reached"], failure: undefined as string | undefined };
  const trust = { startTls: false, distrust: undefined as string | undefined, until: undefined as number | undefined };
  let socket: Socket = connect({ host, port });
  try {
    socket.on("error", () => {});
    await within(socket, once(socket, "connect"));
    talk.reached = "connected";
    if (secure) socket = await encrypted(socket, server, ca, trust);
    await reply(socket, "220");
    let can = await say(socket, "EHLO [127.0.0.1]", "250");
    talk.reached = secure ? "encrypted" : "greeted";
    trust.startTls = /^250[ -]STARTTLS/im.test(can);
    if (trust.startTls && !secure) {
      await say(socket, "STARTTLS", "220");
      socket = await encrypted(socket, server, ca, trust);
      can = await say(socket, "EHLO [127.0.0.1]", "250");
      talk.reached = "encrypted";
    }
    socket.end("QUIT\r\n");
  } catch (failure) {
    talk.failure = messageOf(failure);
  } finally {
    socket.destroy();
  }
  return { ...talk, ...trust };
}

async function encrypted(
  socket: Socket,
  { host, servername = host }: SmtpServer,
  ca: string | undefined,
  trust: { distrust: string | undefined; until: number | undefined },
): Promise<TLSSocket> {
  const name = /^[\d.]+$|:/.test(servername) ? {} : { servername };
  // Looked at below, and told: what is wrong with it shall be known, and no secret goes over this line.
  const tls = connectTls({
    socket,
    ...name,
    host: servername,
    rejectUnauthorized: false,
    ...(ca !== undefined && { ca }),
  });
  tls.on("error", () => {});
  await within(tls, once(tls, "secureConnect"));
  trust.distrust = tls.authorized ? undefined : String(tls.authorizationError);
  trust.until = Date.parse(tls.getPeerCertificate().valid_to) || undefined;
  return tls;
}

async function say(socket: Socket, line: string, code: string): Promise<string> {
  socket.write(`${line}\r\n`);
  return await reply(socket, code);
}

/** Waits for a whole reply: its last line has a space after the code. */
async function reply(socket: Socket, code: string): Promise<string> {
  let text = "";
  while (!/^\d{3} .*\r?\n$/m.test(text.slice(text.lastIndexOf("\n", text.length - 2) + 1))) {
    const [piece] = (await within(socket, once(socket, "data"))) as [Buffer];
    text += piece.toString("latin1");
    if (text.length > LONGEST_REPLY) throw new Error("it says more than a mail server does");
  }
  if (!text.startsWith(code)) throw new Error(`it said: ${text.trim().slice(0, 200)}`);
  return text;
}

async function within<Result>(socket: Socket, step: Promise<Result>): Promise<Result> {
  const gone = once(socket, "close").then(() => Promise.reject(new Error("it closed the connection")));
  const late = AbortSignal.timeout(LIMIT);
  const tooLate = once(late, "abort").then(() => Promise.reject(new Error(`no answer within ${LIMIT / 1000} s`)));
  gone.catch(() => {});
  tooLate.catch(() => {});
  return await Promise.race([step, gone, tooLate]);
}
