import { chmod, chown, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { untrustedBecause } from "./data-dir.ts";

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), "wkfs-trust-"))));
afterEach(async () => await rm(dir, { recursive: true }));

describe("a folder that code is loaded from", () => {
  it("is trusted when it is ours alone, and when there is none", async () => {
    await mkdir(join(dir, "data"));
    expect(untrustedBecause(join(dir, "data"))).toBeUndefined();
    expect(untrustedBecause(join(dir, "nothing", "here"))).toBeUndefined();
  });

  it.each([0o777, 0o775, 0o1777])("is refused when others can write it: %o", async (mode) => {
    await chmod(dir, mode);
    expect(untrustedBecause(dir)).toContain("can be written by others");
  });

  it("is refused when others can replace a folder above it, also behind a link", async () => {
    await mkdir(join(dir, "open", "data"), { recursive: true });
    await mkdir(join(dir, "ours"));
    await symlink(join(dir, "open", "data"), join(dir, "ours", "link"));
    expect(untrustedBecause(join(dir, "ours", "link"))).toBeUndefined();
    await chmod(join(dir, "open"), 0o777);
    expect(untrustedBecause(join(dir, "ours", "link"))).toContain(join(dir, "open"));
  });

  it.skipIf(process.getuid?.() !== 0)("is refused when it belongs to somebody else (needs root)", async () => {
    await mkdir(join(dir, "theirs", "data"), { recursive: true });
    await chown(join(dir, "theirs"), 12_345, 12_345);
    expect(untrustedBecause(join(dir, "theirs", "data"))).toContain("12345");
  });
});
