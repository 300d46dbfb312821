import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { WkfsError } from "@wkfs/core";
import { testContext } from "@wkfs/core/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { NOW, lease, opened } from "../testing/samples.ts";
import plugin from "./index.ts";
import { SqliteStore } from "./store.ts";

const LEASES = 2000;
let root: string;
let whole: string;
let file: string;
let count = 0;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "wkfs-damage-"));
  whole = join(root, "whole.db");
  const store = new SqliteStore(whole);
  await store.open();
  const leases = Array.from({ length: LEASES }, (_, host) => lease(host));
  await store.write({ put: leases, append: leases.map((one) => opened(one)) });
  await store.write({ enqueue: [{ id: "a", notifier: "mail", event: opened(lease(1)) }] });
  await store.close();
});
afterAll(() => rmSync(root, { recursive: true }));
/** A whole store of its own for each test. */
beforeEach(() => {
  file = join(root, `${(count += 1)}.db`);
  copyFileSync(whole, file);
});

/** Everything that can be read, which must be all or an error. */
async function read(path = file): Promise<number> {
  const store = new SqliteStore(path);
  try {
    await store.open();
    await store.history({ limit: 1_000_000 });
    await store.pending("mail", 1_000_000);
    return (await store.leases()).length;
  } finally {
    await store.close();
  }
}

async function expectRefusal(reading = read(), path = file): Promise<void> {
  const error = await reading.then(
    (leases) => `it read ${leases} leases`,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(WkfsError);
  expect(error).toMatchObject({
    code: "STORE_FAILED",
    hint: expect.any(String),
    message: expect.stringContaining(path),
  });
}

function change(sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

describe("a whole store", () => {
  it("is read, and is a file for nobody else in a folder for nobody else", async () => {
    expect(await read()).toBe(LEASES);
    const path = join(root, "a", "b", "wkfs.db");
    expect(await read(path)).toBe(0);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(root, "a", "b")).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(root, "a", "b"))).toEqual(["wkfs.db"]);
  });

  it("keeps its log for nobody else while it is open", async () => {
    const store = new SqliteStore(file);
    await store.open();
    await store.write({ put: [lease(1)] });
    for (const ending of ["-wal", "-shm"]) expect(statSync(`${file}${ending}`).mode & 0o077).toBe(0);
    await store.close();
  });

  it("is made once by several that start at the same moment", async () => {
    const path = join(root, "same.db");
    const stores = Array.from({ length: 5 }, () => new SqliteStore(path));
    await Promise.all(stores.map((store) => store.open()));
    await Promise.all(stores.map((store, host) => store.write({ put: [lease(host)] })));
    for (const store of stores) expect(await store.leases()).toHaveLength(5);
    for (const store of stores) await store.close();
  });

  it("is configured by an absolute path and nothing else", async () => {
    const accepts = async (config: object): Promise<boolean> =>
      (await plugin.configSchema["~standard"].validate(config)).issues === undefined;
    expect(await accepts({ path: "/var/lib/wkfs/wkfs.db" })).toBe(true);
    for (const path of ["wkfs.db", "", ":memory:", "/", "/var/", "/a\0b", "file:/x", 7]) {
      expect(await accepts({ path })).toBe(false);
    }
    expect(await accepts({ path: "/x", file: "/y" })).toBe(false);
    expect(plugin.create({ path: file }, testContext())).toBeInstanceOf(SqliteStore);
  });
});

describe("a damaged store is reported and never read as if it were whole:", () => {
  it("cut off anywhere", async () => {
    const { size } = statSync(file);
    const cuts = [0, 1, 15, 16, 17, 99, 100, 101, 511, 512, 4095, 4096, 4097, 8192, size - 4096, size - 4095, size - 1];
    const random = Array.from({ length: 40 }, () => Math.floor(Math.random() * size));
    for (const cut of [...cuts, ...random]) {
      copyFileSync(whole, file);
      truncateSync(file, cut);
      await expectRefusal();
    }
  });

  it("no database at all", async () => {
    for (const content of ["leases: []\n", "SQLite format 3\0", randomBytes(8192), Buffer.alloc(8192)]) {
      writeFileSync(file, content);
      await expectRefusal();
    }
  });

  it("any page of it wiped or scribbled over", async () => {
    const content = readFileSync(whole);
    for (let page = 0; page * 4096 < content.length; page += 1) {
      for (const junk of [Buffer.alloc(4096), randomBytes(4096)]) {
        const broken = Buffer.from(content);
        junk.copy(broken, page * 4096);
        writeFileSync(file, broken);
        await expectRefusal();
      }
    }
  });

  it("two pages that changed places", async () => {
    const broken = readFileSync(whole);
    const other = Buffer.from(broken.subarray(-4096));
    broken.copy(broken, broken.length - 4096, 4096 * 10, 4096 * 11);
    other.copy(broken, 4096 * 10);
    writeFileSync(file, broken);
    await expectRefusal();
  });

  it.each([
    ["an address that is none", "UPDATE leases SET id = '10.0.0.300 tcp/22' WHERE id = '10.0.0.1 tcp/22'"],
    ["an address written otherwise", "UPDATE leases SET id = '::ffff:10.0.0.1 tcp/22' WHERE id = '10.0.0.1 tcp/22'"],
    ["an address in capitals", "UPDATE leases SET id = 'FD91::2 tcp/22' WHERE id = '10.0.0.1 tcp/22'"],
    ["no address", "UPDATE leases SET id = 'tcp/22' WHERE id = '10.0.0.1 tcp/22'"],
    ["a length that is too long", "UPDATE leases SET id = '10.0.0.1/33 tcp/22' WHERE id = '10.0.0.1 tcp/22'"],
    ["a length that is none", "UPDATE leases SET id = '10.0.0.1/ tcp/22' WHERE id = '10.0.0.1 tcp/22'"],
    ["the length of a host", "UPDATE leases SET id = '10.0.0.1/32 tcp/22' WHERE id = '10.0.0.1 tcp/22'"],
    ["a deadline that never comes", "UPDATE leases SET deadline = 9e999 WHERE id = '10.0.0.1 tcp/22'"],
    ["a protocol that is none", "UPDATE leases SET id = '10.0.0.1 tcp22' WHERE id = '10.0.0.1 tcp/22'"],
    ["a port that is none", "UPDATE leases SET id = '10.0.0.1 tcp/0' WHERE id = '10.0.0.1 tcp/22'"],
    ["a port written otherwise", "UPDATE leases SET id = '10.0.0.1 tcp/022' WHERE id = '10.0.0.1 tcp/22'"],
    ["events that are no JSON", "UPDATE history SET events = '{' WHERE number = 1"],
    ["an event of no type", `UPDATE history SET events = '[{"type":"x","time":${NOW}}]' WHERE number = 1`],
    ["an event without its leases", `UPDATE history SET events = '[{"type":"opened","time":${NOW}}]' WHERE number = 1`],
    [
      "an event of a lease that is none",
      `UPDATE history SET events = '[{"type":"opened","time":${NOW},"leases":[["10.0.0.1 tcp/0","x",1,2]]}]' WHERE number = 1`,
    ],
    ["an event of another time", "UPDATE history SET time = 1 WHERE number = 1"],
    ["a notification that is none", "UPDATE pending SET event = 'null'"],
    ["a notification of no event", "UPDATE pending SET event = '[]'"],
    ["a table that is gone", "DROP TABLE pending"],
    ["a table of another shape", "ALTER TABLE leases DROP COLUMN client"],
    ["tables of a version that never was", "PRAGMA user_version = 0"],
  ])("%s", async (_, sql) => {
    change(sql);
    await expectRefusal();
  });

  it("its file gone while its log is still there", async () => {
    const store = new SqliteStore(file);
    await store.open();
    await store.write({ put: [lease(LEASES)] });
    const path = join(root, "gone.db");
    copyFileSync(`${file}-wal`, `${path}-wal`);
    await store.close();
    await expectRefusal(read(path), path);
    expect(existsSync(`${path}-wal`)).toBe(true);
  });
});

describe("a store that is not ours to use is refused:", () => {
  it("one that others can write, or its log", async () => {
    for (const mode of [0o620, 0o602, 0o666]) {
      chmodSync(file, mode);
      await expectRefusal();
    }
    chmodSync(file, 0o640);
    expect(await read()).toBe(LEASES);
    writeFileSync(`${file}-wal`, "");
    chmodSync(`${file}-wal`, 0o666);
    await expectRefusal();
  });

  it("one of a newer wkfs, and it stays as it was", async () => {
    change("PRAGMA user_version = 3");
    const before = readFileSync(file);
    await expectRefusal();
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it("one of an older wkfs, with the version and what to do, and it stays as it was", async () => {
    change("PRAGMA user_version = 1");
    const before = readFileSync(file);
    await expectRefusal();
    await expect(read()).rejects.toMatchObject({ message: expect.stringContaining("version 1") });
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it("a database of another program, also an empty one", async () => {
    for (const sql of ["CREATE TABLE x (y)", "PRAGMA user_version = 1"]) {
      rmSync(file);
      change(sql);
      await expectRefusal();
    }
  });

  it("a folder, a pipe, a link that leads nowhere or somewhere", async () => {
    rmSync(file);
    mkdirSync(file);
    await expectRefusal();
    rmSync(file, { recursive: true });
    execFileSync("mkfifo", ["-m", "600", file]);
    await expectRefusal();
    for (const target of ["nowhere", whole]) {
      rmSync(file);
      symlinkSync(target, file);
      await expectRefusal();
    }
  });

  it("a path through a file, and one where nobody can make files", async () => {
    for (const path of [join(whole, "wkfs.db"), "/proc/wkfs/wkfs.db", "/proc/wkfs.db"])
      await expectRefusal(read(path), path);
  });
});
