import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { describe, expect, it } from "vitest";
import { type SmtpServer, talkTo } from "./smtp-dialogue.ts";

const folder = mkdtempSync(join(tmpdir(), "smtp-"));
const files = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")];
const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2"];
const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
execFileSync("openssl", ["req", "-x509", ...curve, ...names, ...files], { stdio: "ignore" });
const [key, cert] = ["key.pem", "cert.pem"].map((name) => readFileSync(join(folder, name), "utf8")) as [string, string];
rmSync(folder, { recursive: true });

/** A real mail server that takes no mail in this test. */
async function mailServer(options: SMTPServerOptions = {}) {
  let mails = 0;
  const server = new SMTPServer({ key, cert, disableReverseLookup: true, closeTimeout: 50, ...options });
  server.on("error", () => {});
  server.onMailFrom = (_, __, callback) => {
    mails += 1;
    callback();
  };
  const listening = server.listen(0, "127.0.0.1");
  await once(listening, "listening");
  return {
    port: (listening.address() as AddressInfo).port,
    mails: () => mails,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

function to(port: number, more: Partial<SmtpServer> = {}): SmtpServer {
  return { host: "127.0.0.1", port, secure: false, requireTLS: true, ...more };
}

describe("a talk with a mail server", () => {
  it("comes to TLS by STARTTLS, looks at the certificate, and sends no mail", async () => {
    await using server = await mailServer();
    expect(await talkTo(to(server.port), cert)).toMatchObject({
      reached: "encrypted",
      failure: undefined,
      startTls: true,
      distrust: undefined,
      until: expect.any(Number) as unknown,
    });
    expect(await talkTo(to(server.port), undefined)).toMatchObject({
      reached: "encrypted",
      distrust: expect.any(String) as unknown,
    });
    expect(await talkTo(to(server.port, { servername: "mail.example.org" }), cert)).toMatchObject({
      distrust: expect.stringContaining("ERR_TLS_CERT_ALTNAME_INVALID") as unknown,
    });
    expect(server.mails()).toBe(0);
  });

  it("comes to TLS from the first byte on", async () => {
    await using server = await mailServer({ secure: true });
    expect(await talkTo(to(server.port, { secure: true }), cert)).toMatchObject({
      reached: "encrypted",
      distrust: undefined,
    });
  });

  it("says that there is no STARTTLS, and what a server says that wants nobody", async () => {
    await using plain = await mailServer({ disabledCommands: ["STARTTLS"] });
    expect(await talkTo(to(plain.port), cert)).toMatchObject({
      reached: "greeted",
      startTls: false,
      failure: undefined,
    });
    await using unwilling = await mailServer({ onConnect: (_, callback) => callback(new Error("not you")) });
    expect(await talkTo(to(unwilling.port), cert)).toMatchObject({
      reached: "connected",
      failure: expect.stringContaining("not you") as unknown,
    });
  });

  it("ends where nobody listens, and with who is no mail server", async () => {
    const other = createServer((socket) => socket.end("SSH-2.0-OpenSSH\r\n"));
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    expect(await talkTo(to(port), cert)).toMatchObject({
      reached: "connected",
      failure: expect.any(String) as unknown,
    });
    other.close();
    await once(other, "close");
    expect(await talkTo(to(port), cert)).toMatchObject({ reached: "nothing", failure: /ECONNREFUSED/ });
  });
});
