import { describe, expect, it } from "vitest";
import { clientConfigPath, clientDir, serverConfigPath } from "./config-path.ts";
import { parseDuration } from "./duration.ts";
import { shellWord } from "./install/next-steps.ts";
import { yamlMapping, yamlValue } from "./install/yaml-text.ts";
import { openExitCode, openLines } from "./open-report.ts";

describe("values of the command line", () => {
  it.each([
    ["90", 90],
    ["90s", 90],
    ["10m", 600],
    ["2h", 7200],
    ["1d", 86_400],
  ])("%s is %d seconds", (text, seconds) => expect(parseDuration(text)).toBe(seconds));

  it.each(["", "0", "-1", "1.5", "10 m", "10M", "1w", "25d", "9".repeat(10)])("%j is no time", (text) =>
    expect(parseDuration(text)).toBeUndefined(),
  );

  it("says where configuration is when nobody does", () => {
    expect(serverConfigPath(undefined)).toBe("/etc/wkfs/wkfs.yaml");
    expect(clientConfigPath("./mine.yaml")).toBe("./mine.yaml");
    expect(clientDir({ XDG_CONFIG_HOME: "/home/x/cfg" })).toBe("/home/x/cfg/wkfs");
    expect(clientDir({ XDG_CONFIG_HOME: "relative" })).toMatch(/^\/.*\.config\/wkfs$/);
  });
});

describe("text that others read", () => {
  it("quotes for YAML what is not plainly text", () => {
    expect(yamlValue("/etc/wkfs/v1.json")).toBe("/etc/wkfs/v1.json");
    expect(["true", "123", "a: b", "#", "", "x\ny"].map((text) => yamlValue(text))).toEqual(
      ["true", "123", "a: b", "#", "", "x\ny"].map((text) => JSON.stringify(text)),
    );
    expect(yamlMapping({ use: "x", to: ["a@b.c"], port: 5, none: undefined })).toBe("{ use: x, to: [a@b.c], port: 5 }");
  });

  it("quotes for a shell what is not plainly a word", () => {
    expect(shellWord("https://x/y")).toBe("https://x/y");
    expect(shellWord("a'b $(id)")).toBe(String.raw`'a'\''b $(id)'`);
  });
});

describe("the answer to a knock", () => {
  const port = (number: number, opened: boolean) => ({ port: { protocol: "tcp", number } as const, opened });

  it.each([
    [0, [port(22, true), port(80, true)]],
    [5, [port(22, true), port(80, false)]],
    [4, [port(22, false)]],
    [4, []],
  ])("gives exit code %d", (code, ports) => expect(openExitCode({ ports })).toBe(code));

  it("is one line a port", () => {
    const server = { tcp: [22], udp: [], maxTime: 600, ip: "192.0.2.7" };
    expect(
      openLines({
        ip: "192.0.2.7",
        ports: [port(22, true), port(80, false)],
        expires: 1_767_225_600,
        lasts: 60,
        server,
      }),
    ).toEqual(["tcp/22 open for 192.0.2.7 until 2026-01-01T00:00:00Z", "tcp/80 not opened"]);
  });
});
