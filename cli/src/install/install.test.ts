import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { loadClientConfig, loadServerConfig, readKeys } from "@wkfs/core/config";
import { describe, expect, it } from "vitest";
import { Sandbox } from "../../testing/wkfs.ts";

const SERVER = ["install", "server", "--tcp", "22", "--dir", "etc", "--state-dir", "state"];

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

describe.concurrent("wkfs install server", () => {
  it("writes configuration, fresh keys and secret with the right modes, and prints no secret", async () => {
    await using host = await Sandbox.create();
    const { code, stdout, stderr } = await host.wkfs(
      ...SERVER,
      "--tcp",
      "5432",
      "--udp",
      "1194",
      "--max-time",
      "10m",
      "--mode",
      "allow",
      "--chain",
      "123",
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const config = await loadServerConfig(host.path("etc/wkfs.yaml"));
    expect(config.protect).toEqual({ tcp: [22, 5432], udp: [1194], maxTime: 600 });
    expect(config.gateway?.path).toMatch(/^\/[0-9a-f]{32}$/);
    expect(config.firewall.map(({ use, config: own }) => ({ use, ...own }))).toEqual(
      ["iptables", "ip6tables"].map((use) => ({ use, mode: "allow", parent: "INPUT", chain: "123" })),
    );
    const keys = await readKeys(host.path("etc/v1.json"));
    expect(Object.values(keys).map(({ length }) => length)).toEqual([32, 16, 32, 16, 20]);
    const secret = await readFile(host.path("etc/transport.secret"), "utf8");
    expect(secret).toMatch(/^[0-9a-f]{80}\n$/);
    const keyText = await readFile(host.path("etc/v1.json"), "utf8");
    expect(stdout).not.toContain(secret.trim());
    for (const value of Object.values(JSON.parse(keyText) as object)) expect(stdout).not.toContain(value);
    const modes = [
      "etc",
      "etc/wkfs.yaml",
      "etc/v1.json",
      "etc/transport.secret",
      "etc/client",
      "etc/client/client.yaml",
      "etc/client/v1.json",
      "state",
    ];
    expect(await Promise.all(modes.map((path) => modeOf(host.path(path))))).toEqual([
      "755",
      "640",
      "600",
      "600",
      "700",
      "600",
      "600",
      "700",
    ]);
    const client = await loadClientConfig(host.path("etc/client/client.yaml"));
    expect(client.url).toBe(`http://127.0.0.1:8080${config.gateway?.path}`);
    expect(await readFile(client.keys, "utf8")).toBe(keyText);
  });

  it("overwrites nothing without --force, and keeps keys, path and URL with it", async () => {
    await using host = await Sandbox.create();
    await host.wkfs(...SERVER, "--url", "https://www.example.org", "--path", "/hidden");
    const before = await readFile(host.path("etc/v1.json"), "utf8");
    const again = await host.wkfs(...SERVER, "--state-dir", "other");
    expect(again.code).toBe(2);
    await expect(stat(host.path("other"))).rejects.toMatchObject({ code: "ENOENT" });

    const forced = await host.wkfs(...SERVER, "--udp", "53", "--force", "--json");
    expect(JSON.parse(forced.stdout)).toMatchObject({
      url: "https://www.example.org/hidden",
      kept: [host.path("etc/v1.json"), host.path("etc/transport.secret")],
    });
    expect((await loadServerConfig(host.path("etc/wkfs.yaml"))).protect.udp).toEqual([53]);
    expect(await readFile(host.path("etc/v1.json"), "utf8")).toBe(before);

    await host.wkfs(...SERVER, "--force", "--force-new-keys");
    const after = await readFile(host.path("etc/v1.json"), "utf8");
    expect(after).not.toBe(before);
    expect(await readFile(host.path("etc/client/v1.json"), "utf8")).toBe(after);
  });

  it("refuses keys that others can read, instead of using or replacing them", async () => {
    await using host = await Sandbox.create();
    await host.wkfs(...SERVER);
    await chmod(host.path("etc/v1.json"), 0o644);
    const { code, stdout } = await host.wkfs(...SERVER, "--force", "--json");
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "SECRET_INVALID" } });
  });

  it.each([
    [["--path", "no-slash"]],
    [["--listen", "nowhere"]],
    [["--listen", "unix:/run/x.sock"]],
    [["--url", "ftp://x/y"]],
    [["--group", "no-such-group"]],
  ])("writes no configuration when a setting is wrong: %s", async (flags) => {
    await using host = await Sandbox.create();
    const { code, stdout, stderr } = await host.wkfs(...SERVER, ...flags, "--json");
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "CONFIG_INVALID" } });
    expect(stderr).toMatch(/^Error: .*\nHint: .*\n$/);
    await expect(stat(host.path("etc/wkfs.yaml"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it.skipIf(process.getuid?.() !== 0)(
    "gives the secrets to a group, also those that it keeps (needs root)",
    async () => {
      await using host = await Sandbox.create();
      await host.wkfs(...SERVER);
      const { code } = await host.wkfs(...SERVER, "--force", "--group", "12345");
      expect(code).toBe(0);
      for (const file of ["wkfs.yaml", "v1.json", "transport.secret"]) {
        expect(await stat(host.path("etc", file))).toMatchObject({ gid: 12_345, mode: 0o100640 });
      }
      expect(await stat(host.path("etc/client/v1.json"))).toMatchObject({ gid: process.getgid?.(), mode: 0o100600 });
    },
  );
});

describe.concurrent("wkfs install client", () => {
  it("writes what `install server` made usable, and warns of keys that lie around", async () => {
    await using host = await Sandbox.create();
    await host.wkfs(...SERVER);
    const flags = ["--url", "https://www.example.org/x", "--keys", "etc/client/v1.json"];
    const first = await host.wkfs("install", "client", ...flags, "--tcp", "22", "--max-time", "30m");
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: "" });
    const config = await loadClientConfig(host.path(".config/wkfs/client.yaml"));
    expect(config).toMatchObject({ url: "https://www.example.org/x", ports: { tcp: [22], udp: [] }, maxTime: 1800 });
    expect(await modeOf(host.path(".config/wkfs"))).toBe("700");
    expect(await modeOf(config.keys)).toBe("600");

    expect((await host.wkfs("install", "client", ...flags)).code).toBe(2);
    await chmod(host.path("etc/client/v1.json"), 0o644);
    const third = await host.wkfs("install", "client", ...flags, "--force");
    expect(third.code).toBe(0);
    expect(third.stderr).toContain("Warning: ");
  });

  it("leaves nothing behind when the keys are no keys", async () => {
    await using host = await Sandbox.create();
    await writeFile(host.path("keys"), '{"key1":"00"}');
    const { code, stderr } = await host.wkfs(
      "install",
      "client",
      "--url",
      "https://x/y",
      "--keys",
      "keys",
      "--dir",
      "out",
    );
    expect(code).toBe(2);
    expect(stderr).toMatch(/the secret keys /);
    await expect(stat(host.path("out/v1.json"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});

describe.concurrent("wkfs client import", () => {
  const KEYS = {
    key1: "01".repeat(32),
    iv1: "02".repeat(16),
    key2: "03".repeat(32),
    iv2: "04".repeat(16),
    sign: "05".repeat(20),
  };
  const PHP = {
    encryption_key: { ...KEYS, extra: "x" },
    url: "https://www.example.org/x",
    servicename: "webknocker",
    more: [1],
  };

  it("takes over URL and keys, whatever else stands there", async () => {
    await using host = await Sandbox.create();
    await writeFile(host.path("config.dat"), JSON.stringify(PHP), { mode: 0o600 });
    const { code, stderr } = await host.wkfs("client", "import", "config.dat", "--out", "office");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(await loadClientConfig(host.path("office/client.yaml"))).toMatchObject({ url: PHP.url, ports: undefined });
    expect(JSON.parse(await readFile(host.path("office/v1.json"), "utf8"))).toEqual(KEYS);
    expect(await modeOf(host.path("office/v1.json"))).toBe("600");
    expect((await host.wkfs("client", "import", "config.dat", "--out", "office")).code).toBe(2);
    expect((await host.wkfs("client", "import", "config.dat", "--out", "office", "--force")).code).toBe(0);
  });

  it.each([
    ["no JSON", "hello"],
    ["no keys", JSON.stringify({ ...PHP, encryption_key: undefined })],
    ["a bad key", JSON.stringify({ ...PHP, encryption_key: { ...KEYS, sign: "zz".repeat(20) } })],
    ["a bad URL", JSON.stringify({ ...PHP, url: "nowhere" })],
  ])("refuses %s with 2 and the file's name, and does not quote it", async (_, text) => {
    await using host = await Sandbox.create();
    await writeFile(host.path("config.dat"), text, { mode: 0o600 });
    const { code, stderr } = await host.wkfs("client", "import", "config.dat");
    expect(code).toBe(2);
    expect(stderr).not.toContain("0303");
    expect(stderr).toMatch(/config\.dat|client\.yaml/);
    await expect(stat(host.path(".config/wkfs/client.yaml"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});
