import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { readFile, writeFile } from "node:fs/promises";
import { FakeClock, MemoryStore, settle, testContext } from "@wkfs/core/testing";
import smtpEmail from "@wkfs/smtp-email";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { describe, expect, it } from "vitest";
import { TestDaemon } from "./support/daemon.ts";
import { Scratch } from "./support/files.ts";

/** A real SMTP server; `mails` holds what it took, `next` the mail that comes next. */
class MailServer implements AsyncDisposable {
  readonly mails: string[] = [];
  readonly logins: string[] = [];
  readonly #server: SMTPServer;
  #arrived = Promise.withResolvers<string>();

  private constructor(options: SMTPServerOptions) {
    this.#server = new SMTPServer({
      ...options,
      onAuth: ({ username, password }, _session, done) => {
        this.logins.push(`${username}:${password}`);
        done(null, { user: username });
      },
      onData: (stream, _session, done) => {
        let text = "";
        stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
        stream.on("end", () => {
          done();
          this.mails.push(text);
          this.#arrived.resolve(text);
          this.#arrived = Promise.withResolvers();
        });
      },
    });
    this.#server.on("error", () => {});
  }

  static async start(
    options: SMTPServerOptions = { authOptional: true, hideSTARTTLS: true },
    port = 0,
  ): Promise<MailServer> {
    const mails = new MailServer(options);
    await new Promise<void>((resolve) => mails.#server.listen(port, "127.0.0.1", resolve));
    return mails;
  }

  get port(): number {
    return (this.#server.server.address() as AddressInfo).port;
  }

  get next(): Promise<string> {
    return this.#arrived.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** A daemon that mails over this port, as its configuration would have it. */
async function daemonWithMail(
  port: number,
  more: object = {},
  surroundings: { clock?: FakeClock; store?: MemoryStore } = {},
) {
  const value = { host: "127.0.0.1", port, from: "wkfs@example.org", to: ["ops@example.org"], ...more };
  const config = await smtpEmail.configSchema["~standard"].validate(value);
  if (config.issues !== undefined) throw new Error(config.issues[0]!.message);
  const plugin = await smtpEmail.create(config.value, testContext());
  return await TestDaemon.start({ ...surroundings, notifiers: [{ name: "smtp-email", plugin }] });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** Lets retries become due until the mail is there. */
async function arrival(own: TestDaemon, mail: Promise<string>): Promise<string> {
  for (;;) {
    const text = await Promise.race([mail, own.advance(1000)]);
    if (text !== undefined) return text;
  }
}

describe("mail, from the knock to the inbox", () => {
  it("tells of an opening who, what and until when, over STARTTLS and with a login; a renewal sends nothing", async () => {
    await using scratch = await Scratch.create();
    const { cert, key } = await scratch.certificate();
    await writeFile(scratch.path("password"), "correct horse\n", { mode: 0o600 });
    await using server = await MailServer.start({ cert: await readFile(cert), key: await readFile(key) });
    await using own = await daemonWithMail(server.port, { user: "wkfs", password: scratch.path("password"), ca: cert });
    const mail = server.next;
    expect(await own.ask({ time: 60 })).toMatchObject({ success: true });
    const text = (await mail).replaceAll("=\r\n", "");
    expect(text).toContain("To: ops@example.org");
    for (const part of [
      "default",
      "10.91.0.2",
      "tcp/22",
      new Date(own.clock.now() + 60_000).toISOString().slice(0, 16),
    ])
      expect(text).toContain(part);
    expect(server.logins).toEqual(["wkfs:correct horse"]);

    const second = server.next;
    expect(await own.ask({ time: 120 })).toMatchObject({ success: true });
    expect(await own.ask({ ip: "10.91.0.3" })).toMatchObject({ success: true });
    // The next mail is about the other address: there was none about the renewal.
    expect(await second).toContain("10.91.0.3");
    expect(server.mails.length).toBe(2);
  });

  it("is not waited for by the knock when the server says nothing", async () => {
    const connected = Promise.withResolvers<void>();
    const silent = createServer(() => connected.resolve()).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const own = await daemonWithMail((silent.address() as AddressInfo).port);
    expect(await own.ask()).toMatchObject({ success: true });
    await connected.promise;
    expect(own.store.waiting.size).toBe(1);
    await own.daemon.stop();
    expect(own.store.waiting.size).toBe(1);
    silent.close();
  });

  it("arrives when the server was down and is back", async () => {
    const port = await freePort();
    await using own = await daemonWithMail(port);
    expect(await own.ask()).toMatchObject({ success: true });
    while (!own.log.some(({ message }) => message.includes("could not be delivered"))) await settle();
    expect(own.store.waiting.size).toBe(1);
    await using server = await MailServer.start(undefined, port);
    expect(await arrival(own, server.next)).toContain("10.91.0.2");
    while (own.store.waiting.size > 0) await settle();
  });

  it("arrives when the daemon was restarted in between", async () => {
    const port = await freePort();
    const clock = new FakeClock();
    const store = new MemoryStore();
    const first = await daemonWithMail(port, {}, { clock, store });
    expect(await first.ask()).toMatchObject({ success: true });
    await first.daemon.stop();
    expect(store.waiting.size).toBe(1);
    await using server = await MailServer.start(undefined, port);
    const mail = server.next;
    await using second = await daemonWithMail(port, {}, { clock, store });
    expect(await arrival(second, mail)).toContain("10.91.0.2");
  });

  it("that the server refuses for good is dropped with an error in the log, and keeps nothing waiting", async () => {
    await using server = await MailServer.start({
      authOptional: true,
      hideSTARTTLS: true,
      onRcptTo: (_address, _session, done) => done(Object.assign(new Error("no such user"), { responseCode: 550 })),
    });
    await using own = await daemonWithMail(server.port);
    expect(await own.ask()).toMatchObject({ success: true });
    while (own.store.waiting.size > 0) await settle();
    expect(own.log).toContainEqual(
      expect.objectContaining({ level: "error", message: expect.stringContaining("refused for good") }),
    );
  });
});
