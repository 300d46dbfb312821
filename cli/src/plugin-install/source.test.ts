import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { useOf } from "./package-name.ts";
import { sourceOf } from "./source.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "wkfs-source-"));
  await mkdir(join(dir, "here", "sub"), { recursive: true });
  for (const file of ["x.tgz", "here/x.tgz", "here/sub/x.tar.gz", "here/@x.tgz"]) await writeFile(join(dir, file), "");
});
afterAll(async () => await rm(dir, { recursive: true }));
const of = (text: string) => sourceOf(text, join(dir, "here"));

describe("what is written after `wkfs plugins install`", () => {
  it.each([
    ["x.tgz", "here/x.tgz"],
    ["./x.tgz", "here/x.tgz"],
    ["../x.tgz", "x.tgz"],
    ["sub/x.tar.gz", "here/sub/x.tar.gz"],
    ["file:x.tgz", "here/x.tgz"],
    ["file:./x.tgz", "here/x.tgz"],
    ["file:../x.tgz", "x.tgz"],
  ])("is a tarball, relative to the current folder: %s", async (text, path) => {
    expect(await of(text)).toEqual({ from: "tarball", path: join(dir, path) });
  });

  it.each([
    [".", "here"],
    ["..", "."],
    ["sub/", "here/sub"],
    ["../here", "here"],
    ["file:.", "here"],
    ["file:sub", "here/sub"],
  ])("is a folder, relative to the current folder: %s", async (text, path) => {
    expect(await of(text)).toEqual({ from: "folder", path: join(dir, path) });
  });

  it("is an absolute path, or the URL of a file", async () => {
    const path = join(dir, "x.tgz");
    for (const text of [path, `file:${path}`, pathToFileURL(path).href]) {
      expect(await of(text)).toEqual({ from: "tarball", path });
    }
    for (const text of ["/", "file:///"]) expect(await of(text)).toEqual({ from: "folder", path: "/" });
  });

  it.each([
    ["pager", ["@wkfs/pager", "wkfs-plugin-pager"], "latest"],
    ["pager@1.2.3", ["@wkfs/pager", "wkfs-plugin-pager"], "1.2.3"],
    ["wkfs-plugin-pager@^1", ["wkfs-plugin-pager"], "^1"],
    ["@wkfs/pager@next", ["@wkfs/pager"], "next"],
    ["@acme/wkfs-plugin-pager@>=1 <2", ["@acme/wkfs-plugin-pager"], ">=1 <2"],
    // A folder of this name is no reason to guess.
    ["sub", ["@wkfs/sub", "wkfs-plugin-sub"], "latest"],
  ])("is a package of the registry: %s", async (text, packages, tag) => {
    expect(await of(text)).toEqual({ from: "registry", packages, tag });
  });

  it.each([
    "@acme/pager",
    "@wkfs",
    "wkfs-plugin-",
    "Pager",
    "",
    "--force",
    "pager@npm:slack",
    "https://example.org/x.tgz",
    "git+ssh://git@example.org/x.git",
    "github:acme/wkfs-plugin-x",
    "acme/wkfs-plugin-x",
    "file://example.org/x.tgz",
    "./nothing",
    "nothing.tgz",
    "/dev/null",
  ])("is refused, with what to write: %s", async (text) => {
    await expect(of(text)).rejects.toMatchObject({
      code: "PLUGIN_INVALID",
      hint: expect.stringMatching(/./) as unknown,
    });
  });
});

describe("the name of a package", () => {
  it.each([
    ["@wkfs/pager", "pager"],
    ["wkfs-plugin-pager", "pager"],
    ["@acme/wkfs-plugin-pager", "pager"],
    ["@wkfs/wkfs-plugin-pager", "pager"],
    ["pager", undefined],
    ["@acme/pager", undefined],
    ["wkfs-plugin-../x", undefined],
    ["@acme/../wkfs-plugin-x", undefined],
    ["@../wkfs-plugin-x", undefined],
    ["@wkfs/Pager", undefined],
  ])("says what `use:` says: %s", (name, use) => {
    expect(useOf(name)).toBe(use);
  });
});
