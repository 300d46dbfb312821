import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Header } from "tar";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { contentOf } from "./tarball.ts";

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), "wkfs-tarball-"))));
afterEach(async () => await rm(dir, { recursive: true }));

type Entry = readonly [path: string, text: string] | readonly [path: string, link: "SymbolicLink" | "Link", to: string];

/** As an attacker writes it: no library would. */
async function tarballWith(...entries: readonly Entry[]): Promise<string> {
  const blocks = entries.flatMap(([path, text, to]) => {
    const data = Buffer.from(to === undefined ? text : "");
    const type = to === undefined ? "File" : (text as "SymbolicLink" | "Link");
    const header = new Header({
      path,
      type,
      size: data.length,
      mode: 0o644,
      ...(to !== undefined && { linkpath: to }),
    });
    const block = Buffer.alloc(512);
    header.encode(block);
    return [block, data, Buffer.alloc((512 - (data.length % 512)) % 512)];
  });
  const file = join(dir, "x.tgz");
  await writeFile(file, Buffer.concat([...blocks, Buffer.alloc(1024)]));
  return file;
}

const DESCRIPTION = ["package/package.json", '{ "name": "good" }'] as const;

describe("the content of a tarball", () => {
  it("is its description and its files, whatever its folder is called", async () => {
    const file = await tarballWith(["x/package.json", '{ "name": "good" }'], ["x/dist/index.js", ""], ["x/dist/", ""]);
    expect(await contentOf(file, "it")).toEqual({
      description: { name: "good" },
      files: new Set(["package.json", "dist/index.js"]),
    });
  });

  it("has no links: npm unpacks none", async () => {
    const links = [
      ["package/index.js", "SymbolicLink", "/etc/passwd"],
      ["package/other.js", "Link", "/etc/passwd"],
    ] as const;
    const { files } = await contentOf(await tarballWith(DESCRIPTION, ...links), "it");
    expect(files).toEqual(new Set(["package.json"]));
  });

  it.each([
    "package//package.json",
    "package/./package.json",
    "./package/package.json",
    "package/x/../package.json",
    "package/../../outside",
    "/package/package.json",
    "package\\..\\package.json",
  ])("is refused when a path could be another's: %s", async (path) => {
    const file = await tarballWith(DESCRIPTION, [path, '{ "name": "bad" }']);
    await expect(contentOf(file, "it")).rejects.toMatchObject({ code: "PLUGIN_INVALID" });
  });

  it.each([
    ["no tarball", "no tarball at all"],
    ["empty", ""],
  ])("is refused when it is %s", async (_, text) => {
    await writeFile(join(dir, "text.tgz"), text);
    await expect(contentOf(join(dir, "text.tgz"), "it")).rejects.toMatchObject({ code: "PLUGIN_INVALID" });
  });

  it.each([
    ["two descriptions", [DESCRIPTION, ["other/package.json", "{}"]]],
    ["none", [["package/index.js", ""]]],
    ["one that is a link", [["package/package.json", "Link", "package/x"]]],
    ["one that is no JSON", [["package/package.json", "{"]]],
    ["one of more than a megabyte", [["package/package.json", JSON.stringify("x".repeat(1 << 20))]]],
  ] as [string, Entry[]][])("is refused with %s", async (_, entries) => {
    const file = await tarballWith(...entries);
    await expect(contentOf(file, "it")).rejects.toMatchObject({ code: "PLUGIN_INVALID" });
  });
});
