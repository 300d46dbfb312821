import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Notification, type Notifier, type WkfsEvent, parseAddress } from "@wkfs/core";
import { notifierSuite, testContext, whyNoKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { issue } from "../../smtp-email/testing/certificate.ts";
import { DatagramReceiver, Journald, Rsyslog, StreamReceiver, fileThat } from "../testing/receivers.ts";
import { configSchema } from "./config.ts";
import { entriesOf } from "./entries.ts";
import plugin from "./index.ts";
import { SyslogNotifier } from "./notifier.ts";

const make = async (config: object) => await plugin.create(configSchema.parse(config), testContext());
const never = () => AbortSignal.timeout(20_000);

const lease = {
  address: parseAddress("192.0.2.7"),
  port: { protocol: "tcp", number: 22 },
  client: 'the "phone" ]\\',
  openedAt: Date.UTC(2026, 0, 1),
  deadline: Date.UTC(2026, 0, 1, 0, 10),
} as const;
const opened: WkfsEvent = { type: "opened", time: Date.UTC(2026, 0, 1), leases: [lease] };
/** What would begin a message of its own. */
const forged: WkfsEvent = {
  type: "failed",
  time: 0,
  firewall: "nft\n<0>",
  what: "x\n<0>kernel: forged\r\nMESSAGE=forged\nPRIORITY=0\u0000\u2028<1>",
};
const telling = (events: readonly WkfsEvent[], id = "n1"): Notification => ({ id, host: "gw1", events });
const many = (count: number): WkfsEvent => ({ ...opened, leases: Array.from({ length: count }, () => lease) });
const text = '2026-01-01T00:00:00Z opened: tcp/22 for the "phone" ]\\ at 192.0.2.7 until 2026-01-01T00:10:00Z';

/** A logger(1) that says that it was called, and then nothing any more. */
async function hanging(folder: string, reached: () => void): Promise<string> {
  const path = join(folder, "hanging");
  await writeFile(path, `#!/bin/sh\necho x >${folder}/reached\nexec sleep 300\n`);
  await chmod(path, 0o755);
  void fileThat(folder, async () => (existsSync(join(folder, "reached")) ? true : undefined)).then(reached);
  return path;
}

/** `notify`, and afterwards what the test does to see that it arrived. */
function followed(notifier: Notifier, then: (notification: Notification) => Promise<void>): Notifier {
  return {
    async notify(notification, signal) {
      await notifier.notify(notification, signal);
      await then(notification);
    },
    close: () => notifier.close(),
  };
}

const noRsyslog = whyNoKernel("rsyslogd", "logger");
const local = noRsyslog === undefined ? { describe, it } : { describe: describe.skip, it };
const because = noRsyslog === undefined ? "" : ` (skipped: ${noRsyslog})`;

notifierSuite(`syslog, to rsyslog's socket${because}`, local, async () => {
  const rsyslog = await Rsyslog.start();
  const to = join(rsyslog.folder, "log");
  let received = 0;
  let lines = 0;
  return {
    make: async () =>
      followed(await make({ to }), async (notification) => {
        lines += entriesOf(notification, 10_000).length;
        await rsyslog.logged(lines);
        received += 1;
      }),
    received: () => received,
    unreachable: () => make({ to: join(rsyslog.folder, "nobody") }),
    silent: async (reached) => make({ to, logger: await hanging(rsyslog.folder, reached) }),
    [Symbol.asyncDispose]: () => rsyslog[Symbol.asyncDispose](),
  };
});

const noJournal = whyNoKernel("/lib/systemd/systemd-journald", "journalctl", "logger");
const journal = noJournal === undefined ? { describe, it } : { describe: describe.skip, it };
const withoutJournal = noJournal === undefined ? "" : ` (skipped: ${noJournal})`;
const toJournal = ({ socket, logger }: Journald, config: object = {}) =>
  new SyslogNotifier(
    configSchema.parse({ to: "journald", logger, ...config }),
    { ca: undefined, journal: socket },
    testContext(),
  );

notifierSuite(`syslog, to journald${withoutJournal}`, journal, async () => {
  const stack = new AsyncDisposableStack();
  const journald = stack.use(await Journald.start());
  const folder = await mkdtemp(join(tmpdir(), "wkfs-hanging-"));
  stack.defer(() => rm(folder, { recursive: true }));
  let received = 0;
  return {
    make: async () =>
      followed(toJournal(journald), async () => {
        const entries = await journald.find("SYSLOG_IDENTIFIER=wkfs");
        received = new Set(entries.map((entry) => entry["WKFS_NOTIFICATION"])).size;
      }),
    received: () => received,
    unreachable: async () =>
      new SyslogNotifier(
        configSchema.parse({ to: "journald" }),
        { ca: undefined, journal: join(folder, "nobody") },
        testContext(),
      ),
    silent: async (reached) => toJournal(journald, { logger: await hanging(folder, reached) }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
});

for (const kind of ["tcp", "tls"] as const) {
  notifierSuite(`syslog, over ${kind}`, { describe, it }, async () => {
    const stack = new AsyncDisposableStack();
    const issued = kind === "tls" ? await issue() : undefined;
    const folder = await mkdtemp(join(tmpdir(), "wkfs-ca-"));
    stack.defer(() => rm(folder, { recursive: true }));
    const ca = join(folder, "ca.pem");
    if (issued !== undefined) await writeFile(ca, issued.ca);
    const receiver = stack.use(await StreamReceiver.start(issued));
    const at = (port: number) => make({ to: `${kind}://127.0.0.1:${port}`, ...(issued !== undefined && { ca }) });
    return {
      make: () => at(receiver.port),
      received: () => receiver.connections.length,
      unreachable: () => at(1),
      silent: async (reached) => at(stack.use(await StreamReceiver.start(issued, reached)).port),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  });
}

local.describe(`what rsyslog makes of it${because}`, () => {
  it("from the socket: priority, tag and text, and no message of somebody else's making", async () => {
    await using rsyslog = await Rsyslog.start();
    const notifier = await make({ to: join(rsyslog.folder, "log"), facility: "local3", tag: "door" });
    await notifier.notify(telling([opened, forged, { type: "stopped", time: 0 }]), never());
    const logged = await rsyslog.logged(3);
    expect(logged.map(({ pri, tag, msg }) => [Number(pri) - 19 * 8, tag, msg.trim()])).toEqual([
      [5, `door[${process.pid}]:`, text],
      [
        3,
        `door[${process.pid}]:`,
        "1970-01-01T00:00:00Z trouble with nft <0>: x <0>kernel: forged  MESSAGE=forged PRIORITY=0  <1>",
      ],
      [6, `door[${process.pid}]:`, "1970-01-01T00:00:00Z stopped"],
    ]);
  });

  it.each(["udp", "tcp"])("over %s: time, host and structured data of RFC 5424", async (kind) => {
    await using rsyslog = await Rsyslog.start();
    await (await make({ to: `${kind}://127.0.0.1:${rsyslog.port}` })).notify(telling([opened, forged]), never());
    const [first, second] = await rsyslog.logged(2);
    expect(first).toMatchObject({ pri: "29", host: "gw1", msgid: "opened", msg: text });
    expect(new Date(first!.ts).getTime()).toBe(opened.time);
    expect(first!.sd).toBe(
      '[wkfs@32473 event="opened" notification="n1" client="the \\"phone\\" \\]\\\\" address="192.0.2.7" ' +
        'port="tcp/22" until="2026-01-01T00:10:00.000Z"]',
    );
    expect(second).toMatchObject({ pri: "27", msgid: "failed" });
    expect(second!.msg).toContain("nft <0>: x <0>kernel: forged");
  });

  it("over TCP line by line in the old form", async () => {
    await using rsyslog = await Rsyslog.start();
    const config = { to: `tcp://127.0.0.1:${rsyslog.port}`, format: "rfc3164", framing: "newline" };
    await (await make(config)).notify(telling([opened, forged]), never());
    const logged = await rsyslog.logged(2);
    expect(logged.map(({ pri, host, tag }) => [pri, host, tag])).toEqual([
      ["29", "gw1", `wkfs[${process.pid}]:`],
      ["27", "gw1", `wkfs[${process.pid}]:`],
    ]);
    expect(logged[0]!.msg.trim()).toBe(text);
  });
});

journal.describe(`what journald makes of it${withoutJournal}`, () => {
  it("has fields to look for, and none of somebody else's making", async () => {
    await using journald = await Journald.start();
    await toJournal(journald).notify(telling([opened, forged], "id\nPRIORITY=0"), never());
    const [entry, ...others] = await journald.find('WKFS_CLIENT=the "phone" ]\\');
    expect(others).toEqual([]);
    expect(entry).toMatchObject({
      MESSAGE: text,
      MESSAGE_ID: "cd75cb8c065344d9a4a13967b6580be4",
      PRIORITY: "5",
      SYSLOG_FACILITY: "3",
      SYSLOG_IDENTIFIER: "wkfs",
      WKFS_EVENT: "opened",
      WKFS_HOST: "gw1",
      WKFS_NOTIFICATION: "id PRIORITY=0",
      WKFS_ADDRESS: "192.0.2.7",
      WKFS_PORT: "tcp/22",
      WKFS_UNTIL: "2026-01-01T00:10:00.000Z",
    });
    expect(await journald.find("WKFS_EVENT=failed")).toMatchObject([{ PRIORITY: "3" }]);
    expect(await journald.find("MESSAGE=forged")).toEqual([]);
    expect((await journald.find("WKFS_EVENT=failed"))[0]!["MESSAGE"]).toContain("MESSAGE=forged PRIORITY=0");
  });

  it("has so many entries of a flood, and one that counts the others", async () => {
    await using journald = await Journald.start();
    await toJournal(journald).notify(telling([many(500)]), never());
    const entries = await journald.find("WKFS_NOTIFICATION=n1");
    expect(entries.length).toBe(201);
    expect(entries.at(-1)!["MESSAGE"]).toMatch(/^and 300 more, /);
  });
});

describe("syslog over the network", () => {
  it("tells messages apart by their length in bytes", async () => {
    await using receiver = await StreamReceiver.start();
    const events: WkfsEvent[] = [
      { ...forged, what: "漢字" },
      { type: "stopped", time: 0 },
    ];
    await (await make({ to: `tcp://127.0.0.1:${receiver.port}` })).notify(telling(events), never());
    const rest = Buffer.from(receiver.connections[0]!);
    const [, length] = /^(\d+) /.exec(rest.toString())!;
    const from = length!.length + 1;
    expect(rest.subarray(from, from + Number(length)).toString()).toMatch(/^<27>1 .*漢字$/);
    expect(rest.subarray(from + Number(length)).toString()).toMatch(/^\d+ <30>1 .* stopped$/);
  });

  it("is a failure when the receiver breaks off before it has read everything", async () => {
    await using receiver = await StreamReceiver.start(undefined, () => {});
    const notifier = await make({ to: `tcp://127.0.0.1:${receiver.port}` });
    // Not read, so the kernel resets what is closed.
    const [told] = await Promise.allSettled([
      notifier.notify(telling([many(9000)]), never()),
      receiver.connected.then(() => receiver.breakOff()),
    ]);
    expect(told).toMatchObject({ status: "rejected", reason: { code: "NOTIFY_FAILED" } });
  });

  it("does not tell anybody who cannot show a certificate", async () => {
    await using receiver = await StreamReceiver.start(await issue());
    const notifier = await make({ to: `tls://127.0.0.1:${receiver.port}` });
    await expect(notifier.notify(telling([opened]), never())).rejects.toMatchObject({ code: "NOTIFY_FAILED" });
    expect(receiver.connections.join("")).toBe("");
  });

  it("is a datagram each over UDP, of a flood no more than a buffer takes", async () => {
    await using receiver = await DatagramReceiver.start();
    const notifier = await make({ to: `udp://127.0.0.1:${receiver.port}` });
    await notifier.notify(telling([many(9000)]), never());
    const datagrams = await receiver.received(101);
    expect(datagrams[100]).toMatch(/ and 8900 more, /);
    expect(Math.max(...datagrams.map((one) => Buffer.byteLength(one)))).toBeLessThan(2048);
  });

  it("notices over UDP when nobody listens, and when it is called off", async () => {
    const notifier = await make({ to: "udp://127.0.0.1:1" });
    for (let at = 0; at < 2; at += 1)
      await expect(notifier.notify(telling([opened]), never())).rejects.toMatchObject({ code: "NOTIFY_FAILED" });
    await expect(notifier.notify(telling([opened]), AbortSignal.abort())).rejects.toMatchObject({
      code: "NOTIFY_FAILED",
    });
  });
});

describe("the configuration of syslog", () => {
  it.each([
    [{}, { kind: "socket", path: "/dev/log" }],
    [{ to: "journald" }, { kind: "journald" }],
    [{ to: "tls://[::1]:6514" }, { kind: "tls", host: "::1", port: 6514 }],
  ])("%j goes to %j", (config, to) => expect(configSchema.parse(config).to).toEqual(to));

  it.each([
    { to: "udp://host" },
    { to: "tcp://host:70000" },
    { to: "http://host:80" },
    { to: "dev/log" },
    { to: "tcp://a b:1" },
    { tag: "a b" },
    { tag: "-x]" },
    { facility: "kern" },
    { ca: "/x" },
    { logger: "logger" },
    { level: 1 },
  ])("refuses %j", (config) => expect(configSchema.safeParse(config).success).toBe(false));

  it("refuses a logger and certificates that are not there", async () => {
    await expect(make({ logger: "/nonexistent" })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(make({ to: "tls://a:1", ca: "/nonexistent" })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});
