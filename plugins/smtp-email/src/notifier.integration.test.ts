import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Notification, type WkfsEvent, isWkfsError, parseAddress } from "@wkfs/core";
import { recordingLogger, testContext } from "@wkfs/core/testing";
import type { SMTPServerOptions } from "smtp-server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Issued, issue } from "../testing/certificate.ts";
import { MailServer, RawServer } from "../testing/server.ts";
import { configSchema } from "./config.ts";
import plugin from "./index.ts";

const PASSWORD = "correct horse 🐎 battery";
const NOW = Date.UTC(2026, 0, 1, 12);
const OPENED: WkfsEvent = {
  type: "opened",
  time: NOW,
  leases: [
    {
      address: parseAddress("192.0.2.7"),
      port: { protocol: "tcp", number: 22 },
      client: "phone",
      openedAt: NOW,
      deadline: NOW + 600_000,
    },
  ],
};
const NOTIFICATION: Notification = { id: "b1946ac9", host: "gw1", events: [OPENED] };
const PLAIN: SMTPServerOptions = { authOptional: true, disabledCommands: ["STARTTLS"] };

let tls: Pick<Issued, "key" | "cert">;
let folder: string;
let ca: string;
let password: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "wkfs-smtp-"));
  ca = join(folder, "ca.pem");
  const { key, cert, ca: authority } = await issue();
  tls = { key, cert };
  password = join(folder, "password");
  await writeFile(ca, authority);
  await writeFile(password, `${PASSWORD}\n`, { mode: 0o600 });
});
afterAll(() => rm(folder, { recursive: true }));

/** A server that wants a login over TLS. */
function withLogin(more: SMTPServerOptions = {}): SMTPServerOptions {
  return {
    ...tls,
    authMethods: ["PLAIN", "LOGIN"],
    onAuth: ({ username, password: given }, _, callback) =>
      username === "wkfs" && given === PASSWORD
        ? callback(null, { user: username })
        : callback(Object.assign(new Error(`no, not ${given}`), { responseCode: 535 })),
    ...more,
  };
}

function settings(port: number, more: object = {}): object {
  return { host: "127.0.0.1", port, from: "wkfs@example.org", to: ["ops@example.org"], ...more };
}

async function make(port: number, more: object = {}, log = recordingLogger()) {
  return plugin.create(configSchema.parse(settings(port, more)), testContext({ log }));
}

/** Tells, and gives the error that it failed with. */
async function tell(port: number, more: object = {}, notification = NOTIFICATION): Promise<unknown> {
  const notifier = await make(port, more);
  try {
    return await notifier.notify(notification, AbortSignal.timeout(20_000)).catch((error: unknown) => error);
  } finally {
    await notifier.close();
  }
}

function header(text: string, name: string): string | undefined {
  const [head = ""] = text.split("\r\n\r\n");
  const unfolded = head.replaceAll(/\r\n[ \t]+/g, " ");
  return new RegExp(`^${name}: (.*)$`, "im").exec(unfolded)?.[1];
}

describe("a mail", () => {
  it("says who, what, until when and where, goes to everybody, and is known again when it comes twice", async () => {
    await using server = await MailServer.start(PLAIN);
    const to = ["ops@example.org", "root@localhost"];
    const more = { id: NOTIFICATION.id, host: "gw1", events: [OPENED, OPENED] };
    for (const notification of [NOTIFICATION, NOTIFICATION, more]) await tell(server.port, { to }, notification);
    const [first, second, third] = server.mails;
    expect(first).toMatchObject({ from: "wkfs@example.org", to, encrypted: false, user: undefined });
    const subject = header(first!.text, "Subject");
    for (const text of [subject, first!.text.slice(first!.text.indexOf("\r\n\r\n"))]) {
      for (const word of ["gw1", "phone", "192.0.2.7", "tcp/22", "2026-01-01T12:10:00Z"]) expect(text).toContain(word);
    }
    expect(header(first!.text, "Auto-Submitted")).toBe("auto-generated");
    const id = header(first!.text, "Message-ID");
    expect(id).toMatch(/^<[0-9a-f]{40}@example\.org>$/);
    expect(header(second!.text, "Message-ID")).toBe(id);
    expect(header(third!.text, "Message-ID")).not.toBe(id);
  });

  it("has the headers that we write and no other, whatever a client, a host or an id is called", async () => {
    await using server = await MailServer.start(PLAIN);
    const evil = "x\r\nBcc: eve@example.org\r\n\r\n.\r\nMAIL FROM:<eve@example.org>\u2028\u202E";
    const lease = OPENED.type === "opened" ? OPENED.leases[0]! : undefined;
    const events: WkfsEvent[] = [
      { type: "opened", time: NOW, leases: [{ ...lease!, client: evil }] },
      { type: "healed", time: NOW, firewall: evil, found: [evil] },
      { type: "failed", time: NOW, firewall: evil, what: evil },
      { type: "refused", time: NOW, client: evil, address: lease!.address, ports: [], reason: evil },
    ];
    for (const event of events) await tell(server.port, {}, { id: evil, host: evil, events: [event] });
    expect(server.mails).toHaveLength(events.length);
    for (const { from, to, text } of server.mails) {
      expect([from, ...to]).toEqual(["wkfs@example.org", "ops@example.org"]);
      expect(header(text, "Bcc")).toBeUndefined();
      const [head = ""] = text.split("\r\n\r\n");
      const names = head.split("\r\n").flatMap((line) => /^([\w-]+):/.exec(line)?.[1]?.toLowerCase() ?? []);
      const known = ["from", "to", "subject", "message-id", "auto-submitted", "date", "mime-version"];
      expect(names.filter((name) => !known.includes(name) && !name.startsWith("content-"))).toEqual([]);
    }
  });

  it("is bounded when thousands of events are in it", async () => {
    await using server = await MailServer.start(PLAIN);
    const lease = OPENED.type === "opened" ? OPENED.leases[0]! : undefined;
    const leases = Array.from({ length: 2000 }, () => ({ ...lease!, client: "x".repeat(1000) }));
    const events = Array.from({ length: 50 }, (): WkfsEvent => ({ type: "opened", time: NOW, leases }));
    expect(await tell(server.port, {}, { ...NOTIFICATION, events })).toBeUndefined();
    expect(server.mails[0]!.text.length).toBeLessThan(100_000);
    expect(header(server.mails[0]!.text, "Subject")).toContain("50 events");
  });

  it("is delivered when some recipients are refused, which is logged", async () => {
    await using server = await MailServer.start({
      ...PLAIN,
      onRcptTo: ({ address }, _, callback) =>
        callback(address.startsWith("gone") ? Object.assign(new Error("gone"), { responseCode: 550 }) : null),
    });
    const log = recordingLogger();
    const notifier = await make(server.port, { to: ["gone@example.org", "ops@example.org"] }, log);
    await notifier.notify(NOTIFICATION, AbortSignal.timeout(20_000));
    expect(server.mails.map(({ to }) => to)).toEqual([["ops@example.org"]]);
    expect(log.lines.map(({ level }) => level)).toEqual(["warn"]);
  });
});

describe("a line that is protected", () => {
  const login = () => ({ user: "wkfs", password, ca });

  it.each(["127.0.0.1", "localhost"])("goes over STARTTLS with a login to %s", async (host) => {
    await using server = await MailServer.start(withLogin());
    expect(await tell(server.port, { ...login(), host })).toBeUndefined();
    expect(server.mails).toMatchObject([{ encrypted: true, user: "wkfs" }]);
  });

  it("goes over TLS from the first byte, also to an IPv6 address", async () => {
    await using server = await MailServer.start(withLogin({ secure: true }), "::1");
    for (const host of ["::1", "[::1]"]) {
      expect(await tell(server.port, { ...login(), host, secure: true })).toBeUndefined();
    }
    expect(server.mails).toMatchObject([{ encrypted: true }, { encrypted: true }]);
  });

  it("is given up when the certificate is nobody's, or for another name", async () => {
    await using server = await MailServer.start(withLogin());
    const strangers = join(folder, "other.pem");
    await writeFile(strangers, (await issue()).ca);
    for (const more of [{ ca: strangers }, { ca: undefined }, { servername: "mail.example.org" }]) {
      expect(await tell(server.port, { ...login(), ...more })).toMatchObject({ code: "NOTIFY_FAILED" });
    }
    expect(server.mails).toEqual([]);
  });

  it("is given up, without the password, when somebody hides STARTTLS", async () => {
    const said: string[] = [];
    await using server = await RawServer.start((socket) => {
      socket.on("data", (data) => {
        said.push(String(data));
        socket.write(String(data).startsWith("EHLO") ? "250-x\r\n250 AUTH PLAIN LOGIN\r\n" : "502 what?\r\n");
      });
      socket.write("220 x\r\n");
    });
    expect(await tell(server.port, login())).toMatchObject({ code: "NOTIFY_FAILED" });
    expect(said.join("")).not.toContain("AUTH");
    expect(said.join("")).not.toContain("MAIL");
  });

  it("is used without a login where the server has it, whatever its certificate", async () => {
    await using server = await MailServer.start({ ...tls, authOptional: true });
    expect(await tell(server.port)).toBeUndefined();
    expect(server.mails).toMatchObject([{ encrypted: true }]);
    expect(await tell(server.port, { requireTLS: true })).toMatchObject({ code: "NOTIFY_FAILED" });
  });
});

describe("a server that does not take a mail", () => {
  const refusing = (responseCode: number) => (_: unknown, __: unknown, callback: (error: Error) => void) =>
    callback(Object.assign(new Error("no"), { responseCode }));

  it.each([
    ["every recipient, for good", { onRcptTo: refusing(550) }, "NOTIFY_REJECTED"],
    ["every recipient, for now", { onRcptTo: refusing(451) }, "NOTIFY_FAILED"],
    ["the sender, for good", { onMailFrom: refusing(553) }, "NOTIFY_REJECTED"],
    ["the sender, for now", { onMailFrom: refusing(450) }, "NOTIFY_FAILED"],
    ["one without a login", { onMailFrom: refusing(530) }, "NOTIFY_FAILED"],
    ["the text, for good", { onData: refusingData(554) }, "NOTIFY_REJECTED"],
    ["the text, for now", { onData: refusingData(452) }, "NOTIFY_FAILED"],
    [
      "our host at all",
      { onConnect: (_: unknown, callback: (error: Error) => void) => refusing(554)(0, 0, callback) },
      "NOTIFY_FAILED",
    ],
  ] as const)("refuses %s", async (_, options, code) => {
    await using server = await MailServer.start({ ...PLAIN, ...options });
    expect(await tell(server.port)).toMatchObject({ code, hint: expect.any(String) });
  });

  it("refuses one recipient for good and one for now: that is worth another try", async () => {
    await using server = await MailServer.start({
      ...PLAIN,
      onRcptTo: ({ address }, session, callback) =>
        refusing(address.startsWith("ops") ? 451 : 550)(0, session, callback),
    });
    const to = ["ops@example.org", "gone@example.org"];
    expect(await tell(server.port, { to })).toMatchObject({ code: "NOTIFY_FAILED" });
    expect(await tell(server.port, { to: to.toReversed() })).toMatchObject({ code: "NOTIFY_FAILED" });
  });

  it("breaks off in the middle", async () => {
    await using server = await RawServer.start((socket) => {
      socket.once("data", () => socket.destroy());
      socket.write("220 x\r\n");
    });
    expect(await tell(server.port)).toMatchObject({ code: "NOTIFY_FAILED" });
  });

  it.each([
    ["says nothing", () => {}],
    ["speaks on without end", endless],
  ])("%s: there is an end to it", async (_, talk) => {
    await using server = await RawServer.start(talk);
    const start = performance.now();
    expect(await tell(server.port, { timeout: 1 })).toMatchObject({ code: "NOTIFY_FAILED" });
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it("sees its connection closed when the call is called off, and when the notifier is closed", async () => {
    for (const how of ["signal", "close"]) {
      const ended = Promise.withResolvers<void>();
      const reached = Promise.withResolvers<void>();
      await using server = await RawServer.start((socket) => {
        socket.on("close", ended.resolve);
        reached.resolve();
      });
      const notifier = await make(server.port);
      const off = new AbortController();
      const call = notifier.notify(NOTIFICATION, off.signal).catch((error: unknown) => error);
      await reached.promise;
      const start = performance.now();
      if (how === "signal") off.abort();
      else await notifier.close();
      expect(await call).toMatchObject({ code: "NOTIFY_FAILED" });
      await ended.promise;
      expect(performance.now() - start).toBeLessThan(5000);
      await notifier.close();
    }
  });
});

describe("the password", () => {
  it("is in no error and no log, whatever the server says of it, and a new one is used at the next try", async () => {
    const wrong = join(folder, "wrong");
    const secret = "wrong-but-secret";
    await writeFile(wrong, secret, { mode: 0o600 });
    const plain = Buffer.from(`\0wkfs\0${secret}`).toString("base64");
    const forms = [secret, plain, Buffer.from(secret).toString("base64")];
    await using server = await MailServer.start(
      withLogin({
        onAuth: ({ password: given }, _, callback) =>
          given === PASSWORD
            ? callback(null, { user: "wkfs" })
            : callback(Object.assign(new Error(forms.join(" ")), { responseCode: 535 })),
      }),
    );
    const log = recordingLogger();
    const notifier = await make(server.port, { user: "wkfs", password: wrong, ca }, log);
    const error = await notifier.notify(NOTIFICATION, AbortSignal.timeout(20_000)).catch((reason: unknown) => reason);
    expect(isWkfsError(error, "NOTIFY_FAILED")).toBe(true);
    const told =
      error instanceof Error ? `${error.message} ${error.stack} ${JSON.stringify(error)} ${String(error.cause)}` : "";
    expect(told).toContain("535");
    for (const form of forms) expect(`${told} ${JSON.stringify(log.lines)}`).not.toContain(form);
    await writeFile(wrong, PASSWORD);
    await notifier.notify(NOTIFICATION, AbortSignal.timeout(20_000));
    expect(server.mails).toHaveLength(1);
    await rm(wrong);
    await expect(notifier.notify(NOTIFICATION, AbortSignal.timeout(20_000))).rejects.toMatchObject({
      code: "NOTIFY_FAILED",
    });
  });

  it("and the certificates are looked at when the notifier is made", async () => {
    await expect(make(25, { user: "a", password: join(folder, "none") })).rejects.toMatchObject({ code: "ENOENT" });
    await expect(make(25, { ca: join(folder, "none") })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    const empty = join(folder, "empty.pem");
    await writeFile(empty, "");
    await chmod(empty, 0o644);
    await expect(make(25, { ca: empty })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});

function refusingData(responseCode: number): NonNullable<SMTPServerOptions["onData"]> {
  return (stream, _, callback) => {
    stream.resume();
    stream.on("end", () => callback(Object.assign(new Error("no"), { responseCode })));
  };
}

/** A greeting whose lines go on for ever, as slowly as keeps a connection from looking idle. */
function endless(socket: Socket): void {
  const timer = setInterval(() => socket.write("220-wait\r\n"), 50);
  socket.on("close", () => clearInterval(timer));
}
