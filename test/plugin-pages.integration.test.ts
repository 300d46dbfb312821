import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type AnyPlugin,
  EVENT_TYPES,
  type Firewall,
  type Lease,
  type Notifier,
  type PluginContext,
  parseAddress,
} from "@wkfs/core";
import { NetworkNamespace, firewallSuite, recordingLogger, testContext, whyNoKernel } from "@wkfs/core/testing";
import execFirewall, { checkSchema, stateSchema } from "@wkfs/exec-firewall";
import exec from "@wkfs/exec";
import webhook from "@wkfs/webhook";
import { describe, expect, it } from "vitest";
import { blocks } from "./support/pages.ts";

/** What the pages of the plugins show is run here. */
const folder = fileURLToPath(new URL("../docs/plugins/", import.meta.url));
const page = (name: string) => readFileSync(join(folder, `${name}.md`), "utf8");
const block = (name: string, language: string, beginning: RegExp) =>
  blocks.find((one) => one.page === `docs/plugins/${name}.md` && one.language === language && beginning.test(one.text))!
    .text;

/** A program of a page, in a file of its own. */
class Program implements AsyncDisposable {
  readonly folder: string;
  readonly path: string;

  private constructor(place: string, path: string) {
    this.folder = place;
    this.path = path;
  }

  static async write(name: string, text: string): Promise<Program> {
    const place = await mkdtemp(join(tmpdir(), "wkfs-page-"));
    await writeFile(join(place, name), text);
    await chmod(join(place, name), 0o755);
    return new Program(place, join(place, name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true });
  }
}

async function made<Kind>(plugin: AnyPlugin, config: object, context: PluginContext = testContext()): Promise<Kind> {
  const result = await plugin.configSchema["~standard"].validate(config);
  if (result.issues !== undefined) throw new Error(JSON.stringify(result.issues));
  return (await plugin.create(result.value as never, context)) as Kind;
}

const never = () => AbortSignal.timeout(20_000);
const lease = (address: string, seconds = 60): Lease => ({
  address: parseAddress(address),
  port: { protocol: "tcp", number: 22 },
  client: "phone",
  openedAt: Date.now(),
  deadline: Date.now() + seconds * 1000,
});

describe("the page of webhook", () => {
  type IsGenuine = (headers: object, body: Buffer, key: string, seen: Set<string>, now?: number) => boolean;

  it("checks what the plugin signs, and nothing else", async () => {
    await using program = await Program.write("verify.mjs", block("webhook", "js", /verify\.mjs/));
    const { isGenuine } = (await import(program.path)) as { isGenuine: IsGenuine };
    const received = Promise.withResolvers<{ headers: Record<string, unknown>; body: Buffer }>();
    const server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on("data", (piece: Buffer) => pieces.push(piece));
      request.on("end", () => {
        received.resolve({ headers: { ...request.headers }, body: Buffer.concat(pieces) });
        response.end();
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const key = "thirty-two letters of a test key";
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    try {
      const config = { url, secret: "hook.key" };
      const notifier = await made<Notifier>(webhook, config, testContext({ readSecret: async () => key }));
      const events = [{ type: "stopped", time: 0 }] as const;
      await notifier.notify({ id: "n1", host: "gw1", events }, never());
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    const { headers, body } = await received.promise;
    const later = Date.now() / 1000 + 301;
    const old = { ...headers, "webhook-timestamp": String(Math.floor(later)) };
    expect({
      genuine: isGenuine(headers, body, key, new Set()),
      changed: isGenuine(headers, Buffer.concat([body, Buffer.from(" ")]), key, new Set()),
      "of another": isGenuine(headers, body, `${key}!`, new Set()),
      recorded: isGenuine(headers, body, key, new Set(), later),
      "recorded and dated anew": isGenuine(old, body, key, new Set(), later),
      "of another id": isGenuine({ ...headers, "webhook-id": "n2" }, body, key, new Set()),
      repeated: isGenuine(headers, body, key, new Set(["n1"])),
      unsigned: isGenuine({}, body, key, new Set()),
    }).toEqual({
      genuine: true,
      changed: false,
      "of another": false,
      recorded: false,
      "recorded and dated anew": false,
      "of another id": false,
      repeated: false,
      unsigned: false,
    });
    // Not by the code of the page alone.
    const right = createHmac("sha256", key).update(`n1.${String(headers["webhook-timestamp"])}.${body.toString()}`);
    expect(headers["webhook-signature"]).toBe(`v1,${right.digest("base64")}`);
  });
});

describe("the page of exec", () => {
  it("has a program that appends what it is told", async () => {
    await using program = await Program.write("append", block("exec", "sh", /# append/));
    const told = join(program.folder, "told");
    const notifier = await made<Notifier>(exec, { command: [program.path, told], input: "text" });
    for (const id of ["a", "b"])
      await notifier.notify({ id, host: "gw1", events: [{ type: "stopped", time: 0 }] }, never());
    expect(await readFile(told, "utf8")).toBe("1970-01-01T00:00:00Z stopped\n".repeat(2));
  });
});

describe("the page of syslog", () => {
  it("names every MESSAGE_ID", () => {
    const source = readFileSync(join(folder, "../../plugins/syslog/src/logger.ts"), "utf8");
    const ids = [...source.matchAll(/^ {2}(\w+): "([0-9a-f]{32})"/gm)].map(
      ([, type, id]) => `| \`${type}\` | \`${id}\` |`,
    );
    expect(ids.length).toBe(EVENT_TYPES.length);
    expect(ids.filter((row) => !page("syslog").includes(row))).toEqual([]);
  });
});

describe("the page of exec-firewall", () => {
  it("shows what the command reads, word for word", async () => {
    const shown = JSON.parse(block("exec-firewall", "json", /"op"/)) as {
      readonly open: readonly { readonly deadline: number }[];
    };
    const { deadline } = shown.open[0]!;
    await using program = await Program.write("record", '#!/bin/sh\ncat >"$1"\n');
    const request = join(program.folder, "request");
    const clock = { now: () => deadline - 600_000, steady: () => 0, setTimer: () => () => {} };
    const context = testContext({ clock, protect: { tcp: [22], udp: [1194] } });
    const firewall = await made<Firewall>(execFirewall, { command: [program.path, request] }, context);
    const close = { address: parseAddress("2001:db8::7"), port: { protocol: "udp", number: 1194 } } as const;
    await firewall.apply({ open: [{ ...lease("192.0.2.7"), deadline }], close: [close], before: [] });
    expect(JSON.parse(await readFile(request, "utf8"))).toEqual(shown);
  });

  it("shows answers that are some", () => {
    expect(checkSchema.parse(JSON.parse(block("exec-firewall", "json", /"missing": \["/))).count).toBe(0);
    expect(stateSchema.parse(JSON.parse(block("exec-firewall", "json", /"leases"/))).leases.length).toBe(1);
  });
});

const reason = whyNoKernel("nft");
const runner = { describe: reason === undefined ? describe : describe.skip, it };

firewallSuite(
  `exec-firewall with nft-remote.mjs of its page${reason === undefined ? "" : ` (skipped: ${reason})`}`,
  runner,
  async () => {
    const stack = new AsyncDisposableStack();
    const host = stack.use(await NetworkNamespace.create());
    const program = stack.use(await Program.write("nft-remote.mjs", block("exec-firewall", "js", /nft-remote\.mjs/)));
    await host.run("nft", "add table inet filter");
    return {
      make: () => {
        // Where a router would be reached by ssh.
        const [enter, ...args] = host.prefix;
        const command = [process.execPath, program.path, `/usr/bin/${enter}`, ...args, "nft"];
        const context = testContext({ log: recordingLogger(), protect: { tcp: [22, 5432], udp: [1194] } });
        return made<Firewall>(execFirewall, { command, expiry: "kernel", checkEvery: 0 }, context);
      },
      now: () => Date.now(),
      refused: () => [lease("10.9.0.20"), { ...lease("10.9.0.21"), port: { protocol: "none" as "tcp", number: 22 } }],
      harm: {
        "the rules are flushed": async () => void (await host.run("nft", "flush chain inet wkfs guard")),
        "a rule is deleted": async () => {
          const [, handle] = /drop # handle (\d+)/.exec(
            await host.run("nft", "-a", "list", "chain", "inet", "wkfs", "guard"),
          )!;
          await host.run("nft", `delete rule inet wkfs guard handle ${handle}`);
        },
        "everything is flushed": async () => void (await host.run("nft", "flush ruleset")),
      },
      // The time left runs down by itself.
      snapshot: async () => (await host.run("nft", "list ruleset")).replaceAll(/ expires \S+/g, ""),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
);
