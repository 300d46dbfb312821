import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { storeSuite } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { AppendedFile } from "../examples/custom-store.ts";

const run = promisify(execFile);
const folder = fileURLToPath(new URL("../examples", import.meta.url));

/** What each says at least, in this order. */
const SAID: Readonly<Record<string, readonly string[]>> = {
  "notifier.ts": [`ding! ${hostname()}: daemon started`],
  "mounted-gateway.ts": ["a page of my own", "tcp 22 for 192.0.2.7, at most 600 s"],
  "custom-store.ts": ["the first daemon starts with 0 lease(s)", "the second daemon starts with 1 lease(s)"],
  "whole-knock.ts": [
    "-A wkfs -p tcp -m multiport --dports 22 -j DROP",
    "ipset -exist add wkfs-v4 127.0.0.1,tcp:22 timeout 1",
    "client: tcp/22 open for 127.0.0.1",
    "daemon: tcp/22 is shut again",
  ],
};

describe("examples", () => {
  it("are all known here", () => {
    const files = readdirSync(folder).filter((file) => file !== "one-process.ts");
    expect(files.toSorted()).toEqual(Object.keys(SAID).toSorted());
  });

  it.each(Object.entries(SAID))("%s runs as it stands, and ends by itself", async (file, said) => {
    const { stdout, stderr } = await run(process.execPath, [join(folder, file)], { timeout: 60_000 });
    const lines = stdout.split("\n");
    expect(stderr).toBe("");
    expect(lines).toEqual(expect.arrayContaining([...said]));
    const places = said.map((line) => lines.indexOf(line));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
  });
});

storeSuite("the store of examples/custom-store.ts", { describe, it }, async () => {
  const dir = await mkdtemp(join(tmpdir(), "wkfs-example-"));
  return {
    make: async () => new AppendedFile(join(dir, "store.jsonl")),
    persistent: true,
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true }),
  };
});

it("the store of examples/custom-store.ts names a torn line, and does not read past it", async () => {
  const dir = await mkdtemp(join(tmpdir(), "wkfs-example-"));
  try {
    await appendFile(join(dir, "store.jsonl"), '{"append":[]}\n{"put":[');
    const torn = new AppendedFile(join(dir, "store.jsonl"));
    await expect(torn.open()).rejects.toMatchObject({ code: "STORE_FAILED" });
  } finally {
    await rm(dir, { recursive: true });
  }
});
