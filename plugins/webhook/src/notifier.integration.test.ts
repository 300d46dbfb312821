import { createHmac } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { type IncomingMessage, type RequestListener, type ServerResponse, createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Notification, type WkfsEvent, parseAddress } from "@wkfs/core";
import { FakeClock, notifierSuite, testContext } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { issue } from "../../smtp-email/testing/certificate.ts";
import { configSchema } from "./config.ts";
import plugin from "./index.ts";

interface Received {
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A server that keeps what it is sent and answers as it is told. */
class Receiver implements AsyncDisposable {
  readonly received: Received[] = [];
  readonly url: string;
  readonly #server;

  private constructor(server: ReturnType<typeof createServer>, url: string, received: Received[]) {
    this.#server = server;
    this.url = url;
    this.received = received;
  }

  static async start(
    answer: (response: ServerResponse) => void = (response) => response.end("ok"),
    tls?: { readonly key: string; readonly cert: string },
  ): Promise<Receiver> {
    const received: Received[] = [];
    const take: RequestListener = (request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (piece: string) => (body += piece));
      request.on("end", () => {
        received.push({ headers: request.headers, body });
        answer(response);
      });
    };
    const server = (tls === undefined ? createServer(take) : createSecureServer(tls, take)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const origin = `${tls === undefined ? "http" : "https"}://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return new Receiver(server, `${origin}/secret-path`, received);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const make = async (config: object, secrets: Readonly<Record<string, string>> = {}, parts: object = {}) =>
  await plugin.create(
    configSchema.parse(config),
    testContext({ readSecret: async (path) => secrets[path]!, ...parts }),
  );
const never = () => AbortSignal.timeout(20_000);

const opened: WkfsEvent = {
  type: "opened",
  time: Date.UTC(2026, 0, 1),
  leases: [
    {
      address: parseAddress("192.0.2.7"),
      port: { protocol: "tcp", number: 22 },
      client: "<phone> & *",
      openedAt: Date.UTC(2026, 0, 1),
      deadline: Date.UTC(2026, 0, 1, 0, 10),
    },
  ],
};
const failed: WkfsEvent = { type: "failed", time: 0, firewall: "nftables", what: "no answer" };
const telling = (events: readonly WkfsEvent[]): Notification => ({ id: "n1", host: "gw1", events });

notifierSuite("webhook", { describe, it }, async () => {
  const stack = new AsyncDisposableStack();
  const receiver = stack.use(await Receiver.start());
  return {
    make: () => make({ url: receiver.url }),
    received: () => receiver.received.length,
    messages: async () => receiver.received.map(({ body }) => body),
    unreachable: () => make({ url: "http://127.0.0.1:1/" }),
    silent: async (reached) => make({ url: stack.use(await Receiver.start(reached)).url }),
    rejecting: async () => make({ url: stack.use(await Receiver.start((to) => to.writeHead(404).end())).url }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
});

describe("a request of webhook", () => {
  it("is JSON that a program reads, with a title for people", async () => {
    await using receiver = await Receiver.start();
    await (await make({ url: receiver.url })).notify(telling([opened]), never());
    expect(receiver.received[0]!.headers["content-type"]).toBe("application/json");
    expect(JSON.parse(receiver.received[0]!.body)).toEqual({
      id: "n1",
      host: "gw1",
      title: "wkfs on gw1: opened for <phone> & * at 192.0.2.7 until 2026-01-01T00:10:00Z: tcp/22",
      events: [opened],
      more: 0,
    });
  });

  it("is signed with its id and its time as Standard Webhooks has it, and carries the token", async () => {
    await using receiver = await Receiver.start();
    const key = Buffer.from("a key of two dozen bytes");
    const secrets = {
      "hook.url": `${receiver.url}\n`,
      "hook.key": `whsec_${key.toString("base64")}`,
      "hook.token": "t1",
    };
    const clock = new FakeClock(1_767_225_600_500);
    const config = { urlFile: "hook.url", secret: "hook.key", token: "hook.token" };
    await (await make(config, secrets, { clock })).notify({ ...telling([opened]), id: "a.b\n" }, never());
    const [{ headers, body }] = receiver.received as [Received];
    expect(headers["webhook-id"]).toBe("a_b_");
    expect(headers["webhook-timestamp"]).toBe("1767225600");
    const signature = createHmac("sha256", key).update(`a_b_.1767225600.${body}`).digest("base64");
    expect(headers["webhook-signature"]).toBe(`v1,${signature}`);
    expect(headers.authorization).toBe("Bearer t1");
  });

  it("goes over TLS to whom `ca` vouches for, and to nobody else, whatever the environment says", async () => {
    const { key, cert, ca } = await issue();
    await using receiver = await Receiver.start(undefined, { key, cert });
    const file = join(tmpdir(), "hook-ca.pem");
    await writeFile(file, ca);
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    try {
      const unknown = await make({ url: receiver.url });
      await expect(unknown.notify(telling([opened]), never())).rejects.toMatchObject({ code: "NOTIFY_FAILED" });
      expect(receiver.received).toEqual([]);
    } finally {
      delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
    }
    await (await make({ url: receiver.url, ca: file })).notify(telling([opened]), never());
    expect(receiver.received.length).toBe(1);
  });

  it.each([
    ["slack", (body: { text: string }) => body.text, "&lt;phone&gt; &amp; *"],
    ["discord", (body: { content: string }) => body.content, "\\<phone\\> & \\*"],
    [
      "teams",
      (body: { attachments: { content: { body: { inlines: [{ text: string }] }[] } }[] }) =>
        body.attachments[0]!.content.body.map(({ inlines: [{ text }] }) => text).join("\n"),
      "<phone> & *",
    ],
  ] as const)("for %s has the text where that looks for it", async (format, textIn, client) => {
    await using receiver = await Receiver.start();
    await (await make({ url: receiver.url, format })).notify(telling([opened]), never());
    expect(textIn(JSON.parse(receiver.received[0]!.body) as never)).toBe(
      `wkfs on gw1: opened for ${client} at 192.0.2.7 until 2026-01-01T00:10:00Z: tcp/22\n` +
        `2026-01-01T00:00:00Z opened: tcp/22 for ${client} at 192.0.2.7 until 2026-01-01T00:10:00Z`,
    );
  });

  it("for Slack, Discord and Teams is text without mentions, markup and previews", async () => {
    await using receiver = await Receiver.start();
    const what = "<!channel> @everyone [a](http://b) **c**";
    for (const format of ["slack", "discord", "teams"]) {
      await (await make({ url: receiver.url, format })).notify(telling([{ ...failed, what }]), never());
    }
    const [slack, discord, teams] = receiver.received.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
    expect(slack).toMatchObject({ mrkdwn: false, unfurl_links: false });
    expect(slack!["text"]).toContain("&lt;!channel&gt; @everyone");
    expect(discord).toMatchObject({ allowed_mentions: { parse: [] }, flags: 4 });
    expect(discord!["content"]).toContain("\\<!channel\\> \\@everyone \\[a\\]\\(http://b\\) \\*\\*c\\*\\*");
    expect(JSON.stringify(teams)).not.toContain('"TextBlock"');
  });

  it("for ntfy has a title, tags and a priority in its headers, in ASCII", async () => {
    await using receiver = await Receiver.start();
    const notifier = await make({ url: receiver.url, format: "ntfy" });
    await notifier.notify(telling([opened]), never());
    await notifier.notify({ ...telling([opened, failed]), host: "gwü" }, never());
    await notifier.notify(telling([{ type: "expired", time: 0, leases: [] }]), never());
    const [first, second, third] = receiver.received as [Received, Received, Received];
    expect(first.headers).toMatchObject({ priority: "default", tags: "door" });
    expect(first.headers["title"]).toMatch(/^wkfs on gw1: opened for <phone> & \* at /);
    expect(first.body).toMatch(/^2026-01-01T00:00:00Z opened: tcp\/22 for [^\n]+$/);
    expect(second.headers).toMatchObject({ priority: "high", tags: "warning" });
    const [, encoded] = /^=\?UTF-8\?B\?([A-Za-z0-9+/=]+)\?=$/.exec(second.headers["title"] as string)!;
    expect(Buffer.from(encoded!, "base64").toString()).toBe("wkfs on gwü: 2 events: 1 opened, 1 failed");
    expect(third.body).toBe("wkfs on gw1: expired");
  });

  it.each([
    ["discord", 2000],
    ["ntfy", 4096],
    ["slack", 4000],
    ["teams", 21_000],
  ])("for %s stays below what that takes, and counts what it leaves out", async (format, most) => {
    await using receiver = await Receiver.start();
    for (const client of ["漢".repeat(60), "&".repeat(60), '"*'.repeat(30)]) {
      const leases = Array.from({ length: 5000 }, () => ({ ...opened.leases[0]!, client }));
      await (await make({ url: receiver.url, format })).notify(telling([{ ...opened, leases }]), never());
    }
    for (const { body } of receiver.received) {
      const sent =
        format === "ntfy" ? body : (JSON.parse(body) as { readonly text?: string; readonly content?: string });
      const text = typeof sent === "string" ? sent : (sent.text ?? sent.content ?? body);
      expect(format === "ntfy" || format === "teams" ? Buffer.byteLength(text) : text.length).toBeLessThanOrEqual(most);
      expect(text.length).toBeGreaterThan(most / 4);
      expect(text).toMatch(/… and \d+ more/);
    }
  });
});

describe("an answer to webhook", () => {
  it.each([
    [500, "NOTIFY_FAILED"],
    [429, "NOTIFY_FAILED"],
    [401, "NOTIFY_FAILED"],
    [400, "NOTIFY_REJECTED"],
    [302, "NOTIFY_REJECTED"],
  ])("with status %i is %s, and is shown without the path of the URL", async (status, code) => {
    await using receiver = await Receiver.start((to) =>
      to.writeHead(status, { location: "http://127.0.0.1:1/" }).end("no\u001B[31m\nsuch"),
    );
    const error = await (await make({ url: receiver.url })).notify(telling([opened]), never()).then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(error).toMatchObject({ code });
    expect(error!.message).toMatch(/^127\.0\.0\.1:\d+ answered with status \d+: no \[31m such$/);
  });

  it("that redirects takes neither token nor message elsewhere", async () => {
    await using other = await Receiver.start();
    await using receiver = await Receiver.start((to) => to.writeHead(307, { location: other.url }).end());
    const notifier = await make({ url: receiver.url, token: "t" }, { t: "t1" });
    await expect(notifier.notify(telling([opened]), never())).rejects.toMatchObject({ code: "NOTIFY_REJECTED" });
    expect([receiver.received.length, other.received.length]).toEqual([1, 0]);
  });

  it.each(["30", new Date(1_767_225_630_000).toUTCString()])("that wants us to wait (%s) is heeded", async (wait) => {
    let status = 429;
    await using receiver = await Receiver.start((to) => to.writeHead(status, { "retry-after": wait }).end());
    const clock = new FakeClock(1_767_225_600_000);
    const notifier = await make({ url: receiver.url }, {}, { clock });
    await expect(notifier.notify(telling([opened]), never())).rejects.toMatchObject({ code: "NOTIFY_FAILED" });
    status = 200;
    await clock.advance(29_000);
    await expect(notifier.notify(telling([opened]), never())).rejects.toMatchObject({ code: "NOTIFY_FAILED" });
    expect(receiver.received.length).toBe(1);
    await clock.advance(1000);
    await notifier.notify(telling([opened]), never());
    expect(receiver.received.length).toBe(2);
  });

  it("that has no end is read at its beginning only, and the token in it is not shown", async () => {
    const closed = Promise.withResolvers<void>();
    await using receiver = await Receiver.start((to) => {
      to.on("close", closed.resolve).writeHead(400).write("Bearer t1 ");
      const pour = () => {
        while (to.write("x".repeat(65_536)));
        to.once("drain", pour);
      };
      pour();
    });
    const notifier = await make({ url: receiver.url, token: "t" }, { t: "t1" });
    await expect(notifier.notify(telling([opened]), never())).rejects.toMatchObject({
      code: "NOTIFY_REJECTED",
      message: expect.stringMatching(/status 400: Bearer \[token\] x{100,300}$/) as string,
    });
    await closed.promise;
  });

  it("that does not come in time is a failure that says so", async () => {
    await using receiver = await Receiver.start(() => {});
    const notifier = await make({ url: receiver.url, timeout: 1 });
    await expect(notifier.notify(telling([opened]), never())).rejects.toMatchObject({
      code: "NOTIFY_FAILED",
      message: expect.stringContaining("no answer after 1 s") as string,
    });
  });
});

describe("the configuration of webhook", () => {
  it.each([
    {},
    { url: "https://a.example", urlFile: "u" },
    { url: "file:///etc/passwd" },
    { url: "https://a", format: "x" },
  ])("refuses %j", (config) => expect(configSchema.safeParse(config).success).toBe(false));

  it.each([
    [{ urlFile: "u" }, { u: "no url" }, "CONFIG_INVALID"],
    [{ urlFile: "u" }, { u: "https://me:secret@a.example/" }, "CONFIG_INVALID"],
    [{ url: "http://a.example/", token: "t" }, { t: "t1" }, "CONFIG_INVALID"],
    [{ url: "https://a.example/", token: "t" }, { t: "two words" }, "SECRET_INVALID"],
    [{ url: "https://a.example/", secret: "k" }, { k: "short" }, "SECRET_INVALID"],
    [{ url: "https://a.example/", secret: "k" }, { k: "whsec_c2hvcnQ=" }, "SECRET_INVALID"],
    [{ url: "https://a.example/", ca: "/nonexistent" }, {}, "CONFIG_INVALID"],
  ])("refuses what stands in files before anything starts: %j %j", async (config, secrets, code) => {
    await expect(make(config, secrets)).rejects.toMatchObject({ code });
  });
});
