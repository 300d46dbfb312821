import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { API_VERSION, definePlugin } from "../contracts/plugin.ts";
import { checkConfig, checkServerConfig, loadClientConfig, loadServerConfig, readKeys, readSecret } from "./index.ts";
import { parseYaml } from "./source.ts";

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), "wkfs-config-"))));
afterEach(async () => await rm(folder, { recursive: true }));

async function write(name: string, text: string, mode = 0o600): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, text);
  await chmod(file, mode);
  return file;
}

const DESIGNED = `
protect:
  tcp: [22, 5432]
  udp: [1194]
  maxTime: 600                        # seconds; or "10m"
gateway:
  listen: 127.0.0.1:8080
  path: /8f3c0c5e
  trustedProxies: [10.0.0.0/8]
  keys: v1.json
transport: { use: localhost-tcp, host: 127.0.0.1, port: 33491, secret: transport.secret }
firewall:
  - { use: iptables,  mode: guard, parent: INPUT, chain: wkfs }
  - { use: ip6tables, mode: guard, parent: INPUT, chain: wkfs }
store: { use: sqlite, path: /var/lib/wkfs/wkfs.db }
notify:
  - { use: smtp-email, host: mail.example.org, port: 587, from: wkfs@example.org, to: [ops@example.org] }
`;

describe("a server's configuration", () => {
  it("is read as designed", async () => {
    const config = await loadServerConfig(await write("wkfs.yaml", DESIGNED));
    expect(config.protect).toEqual({ tcp: [22, 5432], udp: [1194], maxTime: 600 });
    expect(config.keySets).toEqual([
      { name: "default", keys: join(folder, "v1.json"), tcp: [22, 5432], udp: [1194], maxTime: 600 },
    ]);
    expect(config.firewall[1]).toEqual({
      use: "ip6tables",
      config: { mode: "guard", parent: "INPUT", chain: "wkfs" },
      path: ["firewall", 1],
    });
    expect(config.notify[0]?.use).toBe("smtp-email");
  });

  it("takes times with units, and named key sets with limits of their own", async () => {
    const config = await checkServerConfig({
      protect: { tcp: [22, 80], maxTime: "10m" },
      gateway: {
        path: "/x",
        keys: [
          { name: "ops", keys: "/k/a" },
          { name: "db", keys: "/k/b", tcp: [80], maxTime: 60 },
        ],
      },
    });
    expect(config.namedKeys).toBe(true);
    expect(config.keySets).toEqual([
      { name: "ops", keys: "/k/a", tcp: [22, 80], udp: [], maxTime: 600 },
      { name: "db", keys: "/k/b", tcp: [80], udp: [], maxTime: 60 },
    ]);
  });

  it.each<[string, string, string, RegExp]>([
    [
      "a misspelt key",
      "  maxTime: 600",
      "  maxtime: 600",
      /wkfs\.yaml:5: unknown key "protect.maxtime"; did you mean "maxTime"\?/,
    ],
    [
      "a misspelt key in gateway",
      "  path: /8f3c0c5e",
      "  paht: /8f3c0c5e\n  path: /8f3c0c5e",
      /wkfs\.yaml:8: unknown key "gateway.paht"; did you mean "path"\?/,
    ],
    ["a port out of range", "[22, 5432]", "[22, 70000]", /wkfs\.yaml:3: protect\.tcp\.1: expected a port/],
    ["a port twice", "[22, 5432]", "[22, 22]", /wkfs\.yaml:3: protect\.tcp: a port stands here twice/],
    ["a key twice", "gateway:", "protect: {}\ngateway:", /wkfs\.yaml:6: /],
    ["bad indentation", "  udp: [1194]", " udp: [1194]", /wkfs\.yaml:4: /],
    ["a bad network", "10.0.0.0/8", "10.0.0.0/33", /wkfs\.yaml:9: gateway\.trustedProxies\.0: .*is no network/],
    ["no ports at all", "  tcp: [22, 5432]\n  udp: [1194]\n", "", /no port to protect/],
    ["a time beyond the kernel's", "600", "30d", /2147483/],
    ["a plugin without a name", "use: sqlite, ", "", /wkfs\.yaml:15: store\.use/],
  ])("refuses %s, by line", async (_, from, to, expected) => {
    expect(DESIGNED).toContain(from);
    const file = await write("wkfs.yaml", DESIGNED.replace(from, to));
    const failure = loadServerConfig(file);
    await expect(failure).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(failure).rejects.toThrow(expected);
  });

  it.each([
    [{ name: "a", keys: "k", tcp: [23] }, /key set "a" names tcp port 23/],
    [{ name: "a", keys: "k", maxTime: 601 }, /more than the 600/],
    [{ name: "a b", keys: "k" }, /expected a name/],
  ])("refuses the key set %j", async (set, expected) => {
    await expect(checkServerConfig({ protect: { tcp: [22] }, gateway: { path: "/x", keys: [set] } })).rejects.toThrow(
      expected,
    );
  });

  it("refuses two key sets of one name, and a missing file", async () => {
    const set = { name: "a", keys: "k" };
    await expect(
      checkServerConfig({ protect: { tcp: [22] }, gateway: { path: "/x", keys: [set, set] } }),
    ).rejects.toThrow(/two key sets/);
    await expect(loadServerConfig(join(folder, "none.yaml"))).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  it("names a misspelt key rather than the one that is missing for it, also where the schema transforms", async () => {
    const schema = z.strictObject({ secret: z.string() }).transform((value) => value);
    const { source } = parseYaml("secrets: x\n", "f.yaml");
    await expect(checkConfig(schema, { secrets: "x" }, source)).rejects.toThrow(
      'f.yaml:1: unknown key "secrets"; did you mean "secret"?',
    );
  });

  it("points at the line of a plugin's key", async () => {
    const { value, source } = parseYaml("a:\n  - use: x\n    port: 1\n    prot: 2\n", "f.yaml");
    const { use: _, ...config } = (value as { a: Record<string, unknown>[] }).a[0]!;
    const schema = z.strictObject({ port: z.number() });
    await expect(checkConfig(schema, config, source, ["a", 0], "plugin x: ")).rejects.toThrow(
      'f.yaml:4: plugin x: unknown key "a.0.prot"; did you mean "port"?',
    );
  });
});

describe("an error in the configuration of a plugin", () => {
  const rule = z.strictObject({ net: z.string(), ports: z.array(z.number()) });
  const auth = z.union([z.literal("none"), z.strictObject({ user: z.string(), passwordFile: z.string() })]);
  const plugin = definePlugin({
    name: "pager",
    apiVersion: API_VERSION,
    kind: "notifier",
    configSchema: z.strictObject({
      server: z.strictObject({ host: z.string(), tls: z.strictObject({ ca: z.string().optional() }).optional() }),
      to: z.array(z.string()),
      rules: z.array(rule).default([]),
      headers: z.record(z.string(), z.string()).default({}),
      auth: auth.default("none"),
    }),
    create: () => ({ notify: async () => {}, close: async () => {} }),
  });
  const text = `protect: { tcp: [22] }
notify:
  - use: pager
    server:
      host: a.example.org
      tls:
        ca: /etc/ca.pem
    to:
      - alice
      - bob
    rules:
      - { net: 10.0.0.0/8, ports: [22] }
      - net: 192.0.2.0/24
        ports:
          - 22
          - 5432
    headers:
      x-a: one
    auth:
      user: wkfs
      passwordFile: pw
`;
  async function faultOf(from: string, to: string): Promise<unknown> {
    expect(text).toContain(from);
    const config = await loadServerConfig(await write("wkfs.yaml", text.replace(from, to)));
    const [{ use, config: own, path }] = config.notify as [(typeof config.notify)[number]];
    const checking = checkConfig(plugin.configSchema, own, config.source, path, `plugin ${use}: `);
    return await checking.then(
      () => undefined,
      ({ code, message }: { code: string; message: string }) => `${code} ${message.replace(`${folder}/`, "")}`,
    );
  }

  it("is none when there is none", async () => expect(await faultOf("bob", "carol")).toBeUndefined());

  it.each<[string, string, string, string]>([
    [
      "a nested key",
      "      host:",
      "      hots:",
      '5: plugin pager: unknown key "notify.0.server.hots"; did you mean "host"?',
    ],
    [
      "a deeper key",
      "        ca:",
      "        cs:",
      '7: plugin pager: unknown key "notify.0.server.tls.cs"; did you mean "ca"?',
    ],
    [
      "a nested value",
      "host: a.example.org",
      "host: 7",
      "5: plugin pager: notify.0.server.host: Invalid input: expected string, received number",
    ],
    [
      "an item of a list",
      "- bob",
      "- 7",
      "10: plugin pager: notify.0.to.1: Invalid input: expected string, received number",
    ],
    [
      "a key of an item in a list",
      "      - net:",
      "      - nett:",
      '13: plugin pager: unknown key "notify.0.rules.1.nett"; did you mean "net"?',
    ],
    [
      "an item of a list of an item",
      "- 5432",
      "- x",
      "16: plugin pager: notify.0.rules.1.ports.1: Invalid input: expected number, received string",
    ],
    [
      "a value under a key of their own",
      "x-a: one",
      "x-a: [1]",
      "18: plugin pager: notify.0.headers.x-a: Invalid input: expected string, received array",
    ],
    [
      "a key of one of several shapes",
      "      passwordFile:",
      "      passwordfile:",
      '21: plugin pager: unknown key "notify.0.auth.passwordfile"; did you mean "passwordFile"?',
    ],
    [
      "a value of one of several shapes",
      "user: wkfs",
      "user: 7",
      "20: plugin pager: notify.0.auth.user: Invalid input: expected string, received number",
    ],
    [
      "a key that is missing",
      "    to:\n      - alice\n      - bob\n",
      "",
      "3: plugin pager: notify.0.to: Invalid input: expected array, received undefined",
    ],
  ])("names file, line, plugin and key of %s", async (_, from, to, expected) => {
    expect(await faultOf(from, to)).toBe(`CONFIG_INVALID wkfs.yaml:${expected}`);
  });
});

describe("a client's configuration", () => {
  it("is read, with paths relative to the file", async () => {
    const config = await loadClientConfig(
      await write("client.yaml", "url: https://www.example.org/8f3c0c5e\nkeys: v1.json\ntcp: [22]\nmaxTime: 600\n"),
    );
    expect(config).toEqual({
      url: "https://www.example.org/8f3c0c5e",
      keys: join(folder, "v1.json"),
      ca: undefined,
      ports: { tcp: [22], udp: [] },
      maxTime: 600,
    });
  });
  it("needs a web address", async () => {
    await expect(loadClientConfig(await write("c.yaml", "url: ftp://x/\nkeys: k\n"))).rejects.toThrow(
      /c\.yaml:1: url: expected a URL/,
    );
  });
});

describe("secrets", () => {
  it("are the file's text less a trailing newline", async () => {
    expect(await readSecret(await write("s", "abc \n\n", 0o640))).toBe("abc \n");
  });

  it.each([0o644, 0o604, 0o660, 0o606, 0o620])("are refused with mode %o", async (mode) => {
    await expect(readSecret(await write("s", "abc", mode))).rejects.toMatchObject({ code: "SECRET_INVALID" });
  });

  it("are refused when they are a folder or missing", async () => {
    await expect(readSecret(folder)).rejects.toMatchObject({ code: "SECRET_INVALID" });
    await expect(readSecret(join(folder, "none"))).rejects.toMatchObject({ code: "SECRET_INVALID" });
  });

  const hex = (bytes: number) => "5e".repeat(bytes);
  const keys = { key1: hex(32), iv1: hex(16), key2: hex(32), iv2: hex(16), sign: hex(20) };
  it("hold keys in hex", async () => {
    expect((await readKeys(await write("k", JSON.stringify(keys)))).sign).toEqual(new Uint8Array(20).fill(0x5e));
  });

  it.each<[string, string]>([
    ["no JSON", "5e5e5e-secret"],
    ["a value missing", JSON.stringify({ ...keys, sign: undefined })],
    ["an odd digit", JSON.stringify({ ...keys, key1: `${hex(32)}5` })],
    ["a short key", JSON.stringify({ ...keys, key1: hex(8) })],
  ])("that are %s are refused without being quoted", async (_, text) => {
    const failure = await readKeys(await write("k", text)).then(
      () => undefined,
      (error: Error) => error,
    );
    expect(failure).toMatchObject({ code: "SECRET_INVALID" });
    expect(failure?.message).not.toContain("5e5e");
  });
});
