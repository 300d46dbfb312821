import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const run = promisify(execFile);
const RUN = join(import.meta.dirname, "..", "bin", "run.js");

/** Runs a shell with a /var/cache of its own. */
async function withCache(script: string): Promise<string> {
  const ownCache = `mount -t tmpfs -o mode=0755 tmpfs /var/cache && ${script}`;
  const env = { PATH: process.env["PATH"], HOME: "/nonexistent" };
  return (await run("unshare", ["--mount", "--", "sh", "-c", ownCache, "sh", process.execPath, RUN], { env })).stdout;
}

const possible =
  process.getuid?.() === 0 &&
  (await withCache("true").then(
    () => true,
    () => false,
  ));

describe.skipIf(!possible)("compiled code of root (needs root and mount namespaces)", () => {
  it.each([
    ["is kept where a folder for it was made", "mkdir -m 0700 /var/cache/wkfs", true],
    ["is neither kept nor run where others can write", "mkdir -m 0777 /var/cache/wkfs", false],
    ["is neither kept nor run in somebody else's folder", "mkdir /var/cache/wkfs; chown 65534 /var/cache/wkfs", false],
    ["is not kept where no folder was made for it", "true", false],
  ])("%s", async (_, prepare, kept) => {
    const said = await withCache(`${prepare} && "$1" "$2" --version && find /var/cache -type f`);
    expect(said).toContain("wkfs/");
    expect(said.includes("\n/var/cache/wkfs/node/")).toBe(kept);
  });
});
