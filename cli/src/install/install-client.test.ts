import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { loadClientConfig } from "@wkfs/core/config";
import { describe, expect, it } from "vitest";
import { RUN, Sandbox } from "../../testing/wkfs.ts";
import { formatBlock, readBlock } from "./client-block.ts";
import { parsePorts } from "./ports-text.ts";

const SERVER = ["install", "server", "--tcp", "22", "--dir", "etc", "--state-dir", "state"];
const INSTALL = ["client", "install"];
const KEYS = {
  key1: "01".repeat(32),
  iv1: "02".repeat(16),
  key2: "03".repeat(32),
  iv2: "04".repeat(16),
  sign: "05".repeat(20),
};
const GATEWAY = "https://www.example.org/x";
const BLOCK = formatBlock({ url: GATEWAY, keys: JSON.stringify(KEYS), tcp: [22], maxTime: 90 });

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}
const isMissing = (path: string) => expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });

describe("the block", () => {
  it("says what was put into it, also out of a mail", () => {
    const expected = { url: GATEWAY, tcp: [22], maxTime: 90 };
    const mail = `Here it is:\n\n${BLOCK.replaceAll(/^/gm, "> ").replaceAll("\n", "\r\n")}\nBye`;
    for (const text of [BLOCK, mail]) {
      const { keys, ...rest } = readBlock(text, "x");
      expect(rest).toEqual(expected);
      expect(JSON.parse(keys)).toEqual(KEYS);
    }
  });

  it.each([
    ["without its end", BLOCK.split("\n").slice(0, -2).join("\n")],
    ["without a line", BLOCK.split("\n").toSpliced(2, 1).join("\n")],
    [
      "with a letter changed",
      BLOCK.split("\n")
        .map((line, at) => (at === 2 ? `${line.slice(1)}${line[0]}` : line))
        .join("\n"),
    ],
    ["without its sum", BLOCK.split("\n").toSpliced(-3, 1).join("\n")],
  ])("%s is refused, and not quoted", (_, text) => {
    expect(() => readBlock(text, "x")).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
    expect(() => readBlock(text, "x")).not.toThrow(/0303|AwMD/);
  });
});

it.each([
  ["", { tcp: [], udp: [] }],
  ["22, udp/1194 TCP/80,22", { tcp: [22, 80], udp: [1194] }],
  ["70000", undefined],
  ["22 sctp/9", undefined],
])("ports %j are %j", (text, ports) => expect(parsePorts(text)).toEqual(ports));

describe.concurrent("wkfs client install", () => {
  it("takes the block that `client export` prints, by file and by pipe, with its ports and certificates", async () => {
    await using host = await Sandbox.create();
    await host.wkfs(...SERVER, "--url", GATEWAY);
    await writeFile(host.path("etc/client/ca.pem"), "-----BEGIN CERTIFICATE-----\n");
    const yaml = await readFile(host.path("etc/client/client.yaml"), "utf8");
    await writeFile(host.path("etc/client/client.yaml"), `${yaml}tcp: [22]\nca: ca.pem\n`);
    const from = ["--config", "etc/client/client.yaml"];
    const exported = await host.wkfs("client", "export", ...from);
    expect(exported).toMatchObject({ code: 0, stderr: expect.stringContaining("whoever has it") });
    expect(JSON.parse((await host.wkfs("client", "export", ...from, "--json")).stdout)).toEqual({
      block: exported.stdout,
    });
    await writeFile(host.path("block"), exported.stdout, { mode: 0o600 });
    const first = await host.wkfs(...INSTALL, "--from", "block", "--yes");
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: "" });
    const config = await loadClientConfig(host.path(".config/wkfs/client.yaml"));
    const folder = host.path(".config/wkfs");
    expect(config).toEqual({
      url: expect.stringMatching(/^https:\/\/www\.example\.org\/x$/),
      keys: `${folder}/v1.json`,
      ports: { tcp: [22], udp: [] },
      maxTime: undefined,
      ca: `${folder}/ca.pem`,
    });
    expect(JSON.parse(await readFile(config.keys, "utf8"))).toEqual(
      JSON.parse(await readFile(host.path("etc/v1.json"), "utf8")),
    );
    expect(await Promise.all([folder, config.keys, config.ca!].map(modeOf))).toEqual(["700", "600", "600"]);

    await host.shell(
      "wkfs client export --config etc/client/client.yaml | wkfs client install --from - --dir piped --tcp 80",
    );
    expect(await loadClientConfig(host.path("piped/client.yaml"))).toMatchObject({ ports: { tcp: [80], udp: [] } });
  });

  it("takes a URL and a key file, overwrites nothing without --force, and warns of keys that lie around", async () => {
    await using host = await Sandbox.create();
    await host.wkfs(...SERVER);
    const flags = ["--url", GATEWAY, "--keys", "etc/client/v1.json"];
    const first = await host.wkfs(...INSTALL, ...flags, "--tcp", "22", "--max-time", "30m");
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: "" });
    const config = await loadClientConfig(host.path(".config/wkfs/client.yaml"));
    expect(config).toMatchObject({ url: GATEWAY, ports: { tcp: [22], udp: [] }, maxTime: 1800 });

    expect((await host.wkfs(...INSTALL, ...flags)).code).toBe(2);
    await chmod(host.path("etc/client/v1.json"), 0o644);
    const third = await host.wkfs(...INSTALL, ...flags, "--force");
    expect(third.code).toBe(0);
    expect(third.stderr).toContain("Warning: ");
  });

  it("with --check asks the server, and ends with 3 when there is none; what was written stays", async () => {
    await using host = await Sandbox.create();
    await writeFile(host.path("keys"), JSON.stringify(KEYS), { mode: 0o600 });
    const { code } = await host.wkfs(...INSTALL, "--url", "http://127.0.0.1:1/x", "--keys", "keys", "--check");
    expect(code).toBe(3);
    await expect(stat(host.path(".config/wkfs/client.yaml"))).resolves.toBeDefined();
  });

  it("asks nothing where nobody can answer, and leaves nothing behind when the keys are no keys", async () => {
    await using host = await Sandbox.create();
    expect(await host.wkfs(...INSTALL)).toMatchObject({ code: 2, stderr: expect.stringContaining("--from") });
    expect((await host.wkfs(...INSTALL, "--url", GATEWAY)).code).toBe(2);
    await writeFile(host.path("keys"), '{"key1":"00"}');
    const { code, stderr } = await host.wkfs(...INSTALL, "--url", GATEWAY, "--keys", "keys", "--dir", "out");
    expect(code).toBe(2);
    expect(stderr).toMatch(/the secret keys /);
    await isMissing(host.path("out/v1.json"));
  });

  it("asks on a terminal, where the block is not shown", async () => {
    await using host = await Sandbox.create();
    // script(1) gives it a terminal.
    const command = `"${process.execPath}" "${RUN}" client install`;
    const child = spawn("script", ["-qec", command, "/dev/null"], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { PATH: process.env["PATH"], HOME: host.dir, WKFS_DATA_DIR: host.path("data"), TERM: "xterm" },
    });
    let shown = "";
    child.stdout.setEncoding("utf8").on("data", (piece: string) => (shown += piece));
    const answer = async (question: string, text: string): Promise<void> => {
      while (!shown.includes(question)) await once(child.stdout, "data");
      child.stdin.write(text);
    };
    const ended = once(child, "exit");
    await answer("What have you from the server?", "\r");
    await answer("it is not shown", BLOCK.replaceAll("\n", "\r"));
    await answer("Ports to ask for", "80\r");
    await answer("what it offers?", "n\r");
    expect(await ended).toEqual([0, null]);
    expect(await loadClientConfig(host.path(".config/wkfs/client.yaml"))).toMatchObject({
      url: GATEWAY,
      ports: { tcp: [80], udp: [] },
      maxTime: 90,
    });
    expect(shown).not.toContain(BLOCK.split("\n")[1]);
  });
});

describe.concurrent("wkfs client install, from a PHP client,", () => {
  const PHP = { encryption_key: { ...KEYS, extra: "x" }, url: GATEWAY, servicename: "webknocker", more: [1] };

  it("takes over URL and keys, whatever else stands there", async () => {
    await using host = await Sandbox.create();
    await writeFile(host.path("config.dat"), JSON.stringify(PHP), { mode: 0o600 });
    const { code, stderr } = await host.wkfs(...INSTALL, "--from", "config.dat", "--dir", "office");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(await loadClientConfig(host.path("office/client.yaml"))).toMatchObject({ url: GATEWAY, ports: undefined });
    expect(JSON.parse(await readFile(host.path("office/v1.json"), "utf8"))).toEqual(KEYS);
    expect(await modeOf(host.path("office/v1.json"))).toBe("600");
  });

  it.each([
    ["no JSON", "hello"],
    ["half of JSON", '{"url":'],
    ["no keys", JSON.stringify({ ...PHP, encryption_key: undefined })],
    ["a bad key", JSON.stringify({ ...PHP, encryption_key: { ...KEYS, sign: "zz".repeat(20) } })],
    ["a bad URL", JSON.stringify({ ...PHP, url: "nowhere" })],
  ])("refuses %s with 2 and the file's name, and does not quote it", async (_, text) => {
    await using host = await Sandbox.create();
    await writeFile(host.path("config.dat"), text, { mode: 0o600 });
    const { code, stderr } = await host.wkfs(...INSTALL, "--from", "config.dat");
    expect(code).toBe(2);
    expect(stderr).not.toContain("0303");
    expect(stderr).toMatch(/config\.dat|client\.yaml/);
    await isMissing(host.path(".config/wkfs/client.yaml"));
  });
});
