import { createHmac } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Notification, type WkfsEvent, parseAddress } from "@wkfs/core";
import { notifierSuite, testContext } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
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

  static async start(answer: (response: ServerResponse) => void = (response) => response.end("ok")): Promise<Receiver> {
    const received: Received[] = [];
    const server = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (piece: string) => (body += piece));
      request.on("end", () => {
        received.push({ headers: request.headers, body });
        answer(response);
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Receiver(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}/secret-path`, received);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const make = async (config: object, secrets: Readonly<Record<string, string>> = {}) =>
  await plugin.create(configSchema.parse(config), testContext({ readSecret: async (path) => secrets[path]! }));
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

  it("is signed over its body, and carries the token, where files for them are given", async () => {
    await using receiver = await Receiver.start();
    const secrets = { "hook.url": `${receiver.url}\n`, "hook.key": "k1", "hook.token": "t1" };
    const notifier = await make({ urlFile: "hook.url", secret: "hook.key", token: "hook.token" }, secrets);
    await notifier.notify(telling([opened]), never());
    const [{ headers, body }] = receiver.received as [Received];
    expect(headers["x-wkfs-signature"]).toBe(`sha256=${createHmac("sha256", "k1").update(body).digest("hex")}`);
    expect(headers.authorization).toBe("Bearer t1");
  });

  it.each([
    ["slack", (body: { text: string }) => body.text, "&lt;phone&gt; &amp; *"],
    ["discord", (body: { content: string }) => body.content, "<phone> & *"],
    [
      "teams",
      (body: { attachments: { content: { body: { text: string }[] } }[] }) =>
        body.attachments[0]!.content.body.map(({ text }) => text).join("\n"),
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

  it("for ntfy is the text itself, and of high priority when something is wrong", async () => {
    await using receiver = await Receiver.start();
    const notifier = await make({ url: receiver.url, format: "ntfy" });
    await notifier.notify(telling([opened]), never());
    await notifier.notify(telling([opened, failed]), never());
    expect(receiver.received.map(({ headers }) => headers["priority"])).toEqual(["default", "high"]);
    expect(receiver.received[1]!.body).toMatch(/^wkfs on gw1: 2 events: 1 opened, 1 failed\n/);
  });

  it.each([
    ["discord", 2000],
    ["ntfy", 4096],
    ["slack", 40_000],
    ["teams", 28_000],
  ])("for %s stays below what that takes, and counts what it leaves out", async (format, most) => {
    await using receiver = await Receiver.start();
    const leases = Array.from({ length: 5000 }, () => ({ ...opened.leases[0]!, client: "漢".repeat(60) }));
    await (await make({ url: receiver.url, format })).notify(telling([{ ...opened, leases }]), never());
    const { body } = receiver.received[0]!;
    expect(format === "ntfy" || format === "teams" ? Buffer.byteLength(body) : body.length).toBeLessThanOrEqual(most);
    expect(body).toMatch(/… and \d+ more/);
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

  it("refuses a file without a URL before anything starts", async () => {
    await expect(make({ urlFile: "u" }, { u: "no url" })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});
