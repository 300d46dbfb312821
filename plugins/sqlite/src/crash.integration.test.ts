import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { isWkfsError } from "@wkfs/core";
import { execute, whyNoKernel } from "@wkfs/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lease } from "../testing/samples.ts";
import { SqliteStore } from "./store.ts";

const WRITER = join(import.meta.dirname, "../testing/writer.ts");
/** What the writer adds to a host's number for the second lease of a write. */
const TWIN = 0x80_00_00;
let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "wkfs-crash-"));
  file = join(folder, "wkfs.db");
});
afterEach(() => rm(folder, { recursive: true }));

/** Numbers of the hosts that have a lease. */
async function hosts(): Promise<Set<number>> {
  const store = new SqliteStore(file);
  await store.open();
  const leases = await store.leases();
  const history = await store.history({ limit: 1_000_000 });
  await store.close();
  expect(history.length * 2).toBe(leases.length);
  return new Set(
    leases.map(
      ({ address }) => address.text.split(".").reduce((number, part) => number * 256 + Number(part), 0) - 0x0a_00_00_00,
    ),
  );
}

function writer(first: number, count: number): ReturnType<typeof spawn> {
  return spawn(process.execPath, [WRITER, file, String(first), String(count)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

describe("a process that is killed while it writes", () => {
  it("leaves everything that was acknowledged, and at most one write more, whole", async () => {
    let first = 0;
    for (const after of [1, 2, 50, 300, 1500]) {
      const child = writer(first, 1_000_000);
      let acknowledged = -1;
      for await (const line of createInterface(child.stdout!)) {
        acknowledged = Number(line);
        if (acknowledged - first + 1 === after) child.kill("SIGKILL");
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      expect(child.signalCode).toBe("SIGKILL");
      const found = await hosts();
      for (let host = 0; host <= acknowledged; host += 1) expect(found.has(host) && found.has(host + TWIN)).toBe(true);
      const writes = found.size / 2;
      expect([acknowledged + 1, acknowledged + 2]).toContain(writes);
      for (let host = 0; host < writes; host += 1) expect(found.has(host) && found.has(host + TWIN)).toBe(true);
      first = writes;
    }
  });
});

describe("several processes", () => {
  it("write into one store, and none loses what it was told is written", async () => {
    const children = [0, 10_000, 20_000].map((first) => writer(first, 300));
    const ends = children.map((child) => once(child, "exit"));
    for (const child of children) child.stdout!.resume();
    for (const end of await Promise.all(ends)) expect(end[0]).toBe(0);
    expect((await hosts()).size).toBe(1800);
  });

  it("wait for each other no longer than a bounded time", async () => {
    const store = new SqliteStore(file);
    await store.open();
    const other = new DatabaseSync(file);
    other.exec("BEGIN IMMEDIATE");
    const start = performance.now();
    const error = await store.write({ put: [lease(1)] }).catch((reason: unknown) => reason);
    expect(isWkfsError(error, "STORE_FAILED")).toBe(true);
    expect(performance.now() - start).toBeLessThan(9000);
    other.exec("ROLLBACK");
    other.close();
    await store.write({ put: [lease(1)] });
    expect(await store.leases()).toHaveLength(1);
    await store.close();
  });
});

const lack = whyNoKernel("mount");
describe.skipIf(lack !== undefined)(`a disk that is full${lack === undefined ? "" : ` (skipped: ${lack})`}`, () => {
  it("refuses the write, and everything before it can be read", async () => {
    const disk = join(folder, "disk");
    await mkdir(disk);
    const { code, stdout } = await execute([
      "unshare",
      "--mount",
      process.execPath,
      WRITER,
      join(disk, "wkfs.db"),
      "0",
      "1000000",
      disk,
    ]);
    expect(code).toBe(0);
    const lines = stdout.trim().split("\n");
    expect(lines.at(-2)).toBe("STORE_FAILED");
    const acknowledged = lines.length - 2;
    expect(acknowledged).toBeGreaterThan(10);
    expect(Number(lines.at(-1))).toBe(acknowledged * 2);
  });
});

describe("a file that may not be written or read", () => {
  it.each([0o400, 0o000])("is refused with mode %o", async (mode) => {
    const store = new SqliteStore(file);
    await store.open();
    await store.close();
    // Root may write everything, so as root it is somebody else who tries.
    const root = process.getuid?.() === 0;
    await chmod(file, root ? mode | (mode >> 6) : mode);
    await chmod(folder, 0o755);
    const child = spawn(process.execPath, [WRITER, file, "0", "1"], {
      stdio: ["ignore", "pipe", "ignore"],
      ...(root ? { uid: 65_534, gid: 65_534 } : {}),
    });
    const lines: string[] = [];
    for await (const line of createInterface(child.stdout)) lines.push(line);
    expect(lines[0]).toBe("STORE_FAILED");
  });
});
