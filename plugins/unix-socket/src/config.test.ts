import { describe, expect, it } from "vitest";
import { openTransport } from "../testing/peers.ts";
import { configSchema } from "./config.ts";
import plugin from "./index.ts";

const least = { path: "/run/wkfs/daemon.sock" };

describe("the configuration", () => {
  it("lets owner and group in where nothing is said", () => {
    expect(configSchema.parse(least)).toEqual({ ...least, mode: 0o660 });
  });

  it("takes the two modes in every way in which YAML may hand them over", () => {
    const bits = (mode: unknown) => configSchema.safeParse({ ...least, mode }).data?.mode;
    for (const mode of ["0660", "0o660", "660", 660, 0o660]) expect(bits(mode)).toBe(0o660);
    for (const mode of ["0600", "0o600", "600", 600, 0o600]) expect(bits(mode)).toBe(0o600);
    for (const mode of ["0666", 666, 0o666, "0777", 0, "", "660 ", "0x1b0", -660, 660.5, null, "constructor", "rw"])
      expect(bits(mode)).toBeUndefined();
  });

  it("takes a group by name or number", () => {
    for (const group of ["wkfs", "998", 998, 0]) expect(configSchema.parse({ ...least, group }).group).toBe(group);
  });

  it("refuses unknown keys, a path that is none, and one that the kernel would cut off", () => {
    const wrong = [
      { secret: "x" },
      { path: undefined },
      { path: "" },
      { path: "daemon.sock" },
      { path: "/run/wkfs/" },
      { path: "/run/\0x" },
      { path: `/${"x".repeat(93)}` },
      { path: `/${"ü".repeat(47)}` },
      { group: "" },
      { group: -1 },
      { group: 1.5 },
    ];
    expect(wrong.filter((part) => configSchema.safeParse({ ...least, ...part }).success)).toEqual([]);
    expect(configSchema.safeParse({ path: `/${"x".repeat(92)}` }).success).toBe(true);
  });
});

describe("the plugin", () => {
  it("is a transport of its package's name, and names its socket", async () => {
    expect(plugin).toMatchObject({ name: "unix-socket", kind: "transport", apiVersion: 1 });
    await using transport = await openTransport("/run/wkfs/daemon.sock");
    expect(transport.addresses).toEqual(["unix:/run/wkfs/daemon.sock"]);
  });
});
