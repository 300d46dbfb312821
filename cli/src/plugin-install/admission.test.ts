import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Package, tarballOf } from "../../testing/npm-registry.ts";
import { admit } from "./admission.ts";
import { contentOf } from "./tarball.ts";

const right = { name: "wkfs-plugin-pager", version: "1.0.0", wkfs: { apiVersion: 1, kind: "notifier" } };

describe("a package", () => {
  it("is admitted as a plugin, and need not say its kind", () => {
    expect(admit(right, "it")).toEqual({ name: right.name, version: "1.0.0", use: "pager", kind: "notifier" });
    expect(admit({ ...right, wkfs: { apiVersion: 1 } }, "it")).toMatchObject({ use: "pager", kind: undefined });
    const peers = { peerDependencies: { "@wkfs/core": "^0.1.0" }, dependencies: { "@wkfs/corea": "1" } };
    expect(admit({ ...right, ...peers }, "it")).toMatchObject({ use: "pager" });
  });

  it.each([
    ["without the key", { wkfs: undefined }, /right package/],
    ["with a key that says nothing", { wkfs: true }, /"apiVersion": 1/],
    ["with an empty key", { wkfs: {} }, /"apiVersion": 1/],
    ["of a kind that there is not", { wkfs: { apiVersion: 1, kind: "printer" } }, /the kind is firewall, /],
    ["for a later version of the contracts", { wkfs: { apiVersion: 2 } }, /Update wkfs, .*wkfs-plugin-pager@VERSION/],
    ["for an earlier version of the contracts", { wkfs: { apiVersion: 0 } }, /wkfs-plugin-pager@latest/],
    ["that brings core along", { dependencies: { "@wkfs/core": "*" } }, /peerDependencies/],
    ["that would rather bring core along", { optionalDependencies: { "@wkfs/core": "*" } }, /peerDependencies/],
    ["called as something else", { name: "pager" }, /wkfs-plugin-NAME/],
    ["of a strange scope", { name: "@acme/pager" }, /wkfs-plugin-NAME/],
    ["of a name that climbs", { name: "wkfs-plugin-../../x" }, /wkfs-plugin-NAME/],
    ["of a version that climbs", { version: "1.0.0/../../x" }, /right package/],
    ["without a version", { version: undefined }, /right package/],
  ])("is refused %s, with what to do", (_, more, hint) => {
    const error = expect.objectContaining({ code: "PLUGIN_INVALID", hint: expect.stringMatching(hint) as unknown });
    expect(() => admit({ ...right, ...more }, "it")).toThrow(error);
  });
});

describe("a tarball", () => {
  let dir: string;
  beforeAll(async () => void (dir = await mkdtemp(join(tmpdir(), "wkfs-tarball-"))));
  afterAll(async () => await rm(dir, { recursive: true }));
  const made: Package = { name: "wkfs-plugin-x", files: { "dist/index.js": "", "dist/package.json": "{}" } };

  it("shows its package.json and its files", async () => {
    const { description, files } = await contentOf(await tarballOf(made, dir), "it");
    expect(description).toEqual({ name: "wkfs-plugin-x", version: "1.0.0" });
    expect(files.has("dist/index.js")).toBe(true);
    expect(files.has("index.js")).toBe(false);
  });

  it("is refused with two package.json, of which npm could take the other", async () => {
    const two = await tarballOf(made, dir, { name: "wkfs-plugin-y" });
    await expect(contentOf(two, "it")).rejects.toMatchObject({ code: "PLUGIN_INVALID" });
  });

  it.each([
    ["no tarball", "no tarball at all"],
    ["empty", ""],
  ])("is refused when it is %s", async (_, text) => {
    await writeFile(join(dir, "text.tgz"), text);
    await expect(contentOf(join(dir, "text.tgz"), "it")).rejects.toMatchObject({ code: "PLUGIN_INVALID" });
  });

  it.each([
    ["large", { description: { filler: "x".repeat(2 << 20) } }],
    ["no JSON", { files: { "package.json": "{" } }],
  ])("is refused when its package.json is %s", async (_, more) => {
    const file = await tarballOf({ ...made, ...more }, dir);
    await expect(contentOf(file, "it")).rejects.toMatchObject({ code: "PLUGIN_INVALID" });
  });
});
