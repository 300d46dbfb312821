import { chmod, readFile, stat } from "node:fs/promises";
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
