import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, connect, createServer } from "node:net";
import type { AnyPlugin, Notification, Notifier } from "@wkfs/core";
import { relayWords } from "@wkfs/core/host";
import { testContext } from "@wkfs/core/testing";
import smtpEmail from "@wkfs/smtp-email";
import syslog from "@wkfs/syslog";
import webhook from "@wkfs/webhook";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Issued, issue } from "../plugins/smtp-email/testing/certificate.ts";
import { MailServer } from "../plugins/smtp-email/testing/server.ts";
import { StreamReceiver } from "../plugins/syslog/testing/receivers.ts";
import { Scratch } from "./support/files.ts";

/** A port on which nobody listens: what arrives has come by the relay. */
const PORT = 1;
const TOLD: Notification = { id: "n1", host: "gw1", events: [{ type: "started", time: 0, leases: 0 }] };

let scratch: Scratch;
let tls: Issued;
beforeEach(async () => {
  scratch = await Scratch.create();
  tls = await issue();
  await writeFile(scratch.path("ca.pem"), tls.ca);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await scratch[Symbol.asyncDispose]();
});

/** Passes bytes from a Unix socket to this port, as systemd-socket-proxyd does, for these hosts; and leaves nothing. */
async function relay(port: number, ...hosts: string[]): Promise<AsyncDisposable> {
  const path = scratch.path("relay.sock");
  const server = createServer((near) => {
    const far = connect({ host: "127.0.0.1", port });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const)
      from.on("error", () => to.destroy()).pipe(to);
  }).listen(path);
  await once(server, "listening");
  vi.stubEnv("WKFS_RELAYS", relayWords(hosts.map((host) => ({ host, port: PORT, path }))));
  return { [Symbol.asyncDispose]: async () => void (await new Promise((resolve) => server.close(resolve))) };
}

async function tell(plugin: AnyPlugin, settings: object): Promise<unknown> {
  const config = await plugin.configSchema["~standard"].validate(settings);
  if (config.issues !== undefined) throw new Error(config.issues[0]!.message);
  const notifier = (await plugin.create(config.value as never, testContext())) as Notifier;
  try {
    return await notifier.notify(TOLD, AbortSignal.timeout(20_000)).catch((error: unknown) => error);
  } finally {
    await notifier.close();
  }
}

const mail = (host: string, more: object = {}) => ({
  host,
  port: PORT,
  from: "wkfs@example.org",
  to: ["ops@example.org"],
  ca: scratch.path("ca.pem"),
  ...more,
});

describe("a notifier whose service manager leads to its host by a relay", () => {
  it.each([
    ["STARTTLS", {}],
    ["TLS", { secure: true }],
  ])("sends mail over %s, and looks at the host's certificate", async (_how, more) => {
    await using server = await MailServer.start({ ...tls, authOptional: true, ...more });
    await using _ = await relay(server.port, "localhost", "elsewhere.example");
    expect(await tell(smtpEmail, mail("localhost", more))).toBeUndefined();
    expect(server.mails).toMatchObject([{ encrypted: true, to: ["ops@example.org"] }]);
    expect(await tell(smtpEmail, mail("elsewhere.example", more))).toMatchObject({ code: "NOTIFY_FAILED" });
    expect(server.mails).toHaveLength(1);
  });

  it("sends requests, and looks at the host's certificate", async () => {
    const hosts: unknown[] = [];
    const server = createHttps(tls, (request, response) => {
      hosts.push(request.headers.host);
      response.end();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    await using _ = await relay((server.address() as AddressInfo).port, "localhost", "elsewhere.example");
    const to = (host: string) => tell(webhook, { url: `https://${host}:${PORT}/x`, ca: scratch.path("ca.pem") });
    expect(await to("localhost")).toBeUndefined();
    expect(await to("elsewhere.example")).toMatchObject({ code: "NOTIFY_FAILED" });
    expect(hosts).toEqual([`localhost:${PORT}`]);
    server.close();
  });

  it("sends to another host's log, and looks at the host's certificate", async () => {
    await using receiver = await StreamReceiver.start(tls);
    await using _ = await relay(receiver.port, "127.0.0.1", "192.0.2.1");
    const to = (host: string) => tell(syslog, { to: `tls://${host}:${PORT}`, ca: scratch.path("ca.pem") });
    expect(await to("127.0.0.1")).toBeUndefined();
    expect(await to("192.0.2.1")).toMatchObject({ code: "NOTIFY_FAILED" });
    expect(receiver.connections).toHaveLength(1);
  });

  it("says what it cannot reach, when the relay is gone", async () => {
    const gone = await relay(PORT, "localhost");
    await gone[Symbol.asyncDispose]();
    expect(await tell(smtpEmail, mail("localhost"))).toMatchObject({ code: "NOTIFY_FAILED" });
  });
});
