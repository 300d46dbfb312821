import { writeFile } from "node:fs/promises";
import { whyNoKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { MailServer, RawServer } from "../../../plugins/smtp-email/testing/server.ts";
import { Sandbox, freePort } from "../../testing/wkfs.ts";
import type { Finding } from "./finding.ts";

const reason = whyNoKernel("script");

/** A server whose mails go to this port. */
async function told(host: Sandbox, port: number): Promise<void> {
  const lines = [
    "protect: { tcp: [22] }",
    `transport: { use: localhost-tcp, port: ${await freePort()}, secret: secret }`,
    "firewall: [{ use: dry-run }]",
    "store: { use: memory }",
    `notify: [{ use: smtp-email, host: 127.0.0.1, port: ${port}, from: wkfs@example.org, to: [ops@example.org] }]`,
  ];
  await writeFile(host.path("wkfs.yaml"), `${lines.join("\n")}\n`);
  await writeFile(host.path("secret"), "a secret of sixteen characters\n", { mode: 0o600 });
}

async function mailFindings(host: Sandbox, ...flags: string[]): Promise<Finding[]> {
  const { stdout } = await host.wkfs("doctor", "--config", "wkfs.yaml", "--json", ...flags);
  return (JSON.parse(stdout) as { findings: Finding[] }).findings.filter(({ check }) => check === "mail");
}

describe.concurrent("wkfs doctor, of mail,", () => {
  it("sends one when it is asked to, and none else", async () => {
    await using host = await Sandbox.create();
    await using server = await MailServer.start({ authOptional: true, disabledCommands: ["STARTTLS", "AUTH"] });
    await told(host, server.port);
    expect((await mailFindings(host)).map(({ level }) => level)).toEqual(["warning"]);
    expect(server.mails).toEqual([]);
    expect((await mailFindings(host, "--test-mail")).map(({ level }) => level)).toEqual(["warning", "ok"]);
    expect(server.mails).toMatchObject([{ from: "wkfs@example.org", to: ["ops@example.org"] }]);
    expect(server.mails[0]!.text).toContain("only a test");
  });

  it("says when the server takes none, and why", async () => {
    await using host = await Sandbox.create();
    await using server = await MailServer.start({
      authOptional: true,
      disabledCommands: ["STARTTLS", "AUTH"],
      onRcptTo: (_, __, callback) => callback(new Error("nobody of this name")),
    });
    await told(host, server.port);
    const refused = (await mailFindings(host, "--test-mail")).find(({ level }) => level === "error");
    expect(refused?.what).toMatch(/^the test mail was not taken: .*nobody of this name/);
    expect(server.mails).toEqual([]);
  });

  it.skipIf(reason !== undefined)("says at a terminal that it waits for a server that says nothing", async () => {
    await using host = await Sandbox.create();
    const server = await RawServer.start(() => {});
    await told(host, server.port);
    await using terminal = host.terminal(["doctor", "--config", "wkfs.yaml"]);
    await terminal.until(/waiting for [^…]*mail[^…]*…/);
    await server[Symbol.asyncDispose]();
    await terminal.until(/\nmail\r?\n {2}ERROR {3}the mail server .* went no further than "connected"/);
    expect(await terminal.ended()).toBe(1);
  });
});
