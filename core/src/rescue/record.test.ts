import { mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ActivationRecord, newRecord, recordIn } from "./record.ts";
import { verdictOn } from "./verdict.ts";

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), "wkfs-record-"))));
afterEach(async () => await rm(folder, { recursive: true }));

const NOW = Date.UTC(2026, 0, 1);
const record = (change: Partial<ActivationRecord> = {}): ActivationRecord => ({
  id: "one",
  stage: "probation",
  until: NOW + 60_000,
  seconds: 60,
  bootId: "this",
  config: "/etc/wkfs/wkfs.yaml",
  confirmBy: "knock",
  ...change,
});

describe("the record of an activation", () => {
  it("is what was written, readable for the daemon's user, with nothing beside it", async () => {
    const file = recordIn(folder);
    expect(await file.read()).toBeUndefined();
    await file.write(record());
    await file.write(record({ stage: "panic", before: "confirmed" }));
    expect(await file.read()).toEqual(record({ stage: "panic", before: "confirmed" }));
    expect(await readdir(folder)).toEqual(["probation.json"]);
    expect((await stat(join(folder, "probation.json"))).mode & 0o777).toBe(0o644);
    expect(newRecord(record()).id).not.toBe(newRecord(record()).id);
  });

  it.each([
    ["half of it", '{"id":"one","stage":"proba'],
    ["a stage that nobody knows", JSON.stringify({ ...record(), stage: "maybe" })],
    ["too much", " ".repeat(20_000)],
    ["nothing", ""],
  ])("is not guessed at: %s", async (_, text) => {
    await writeFile(join(folder, "probation.json"), text);
    await expect(recordIn(folder).read()).rejects.toMatchObject({ code: "STORE_FAILED" });
  });

  it("follows no link that somebody put in its place", async () => {
    await writeFile(join(folder, "victim"), "mine");
    await symlink(join(folder, "victim"), join(folder, "probation.json"));
    await expect(recordIn(folder).read()).rejects.toMatchObject({ code: "STORE_FAILED" });
    await recordIn(folder).write(record());
    expect(await readFile(join(folder, "victim"), "utf8")).toBe("mine");
    expect(await recordIn(folder).read()).toEqual(record());
  });

  it("that cannot be written is an error, and leaves nothing", async () => {
    await expect(recordIn(join(folder, "no-such")).write(record())).rejects.toMatchObject({ code: "STORE_FAILED" });
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("what it says to a daemon", () => {
  it.each([
    ["no activation at all", undefined, { guard: "for good" }],
    [
      "a confirmed one, also after its time and a reboot",
      record({ stage: "confirmed", until: 0, bootId: "other" }),
      { guard: "for good" },
    ],
    ["one on probation", record(), { guard: "on probation", left: 60_000 }],
    ["one whose clock was set back", record({ until: NOW + 3_600_000 }), { guard: "on probation", left: 60_000 }],
    ["one in its last moment", record({ until: NOW + 1 }), { guard: "on probation", left: 1 }],
    ["one whose time is over", record({ until: NOW }), { guard: "never" }],
    ["one of another boot", record({ bootId: "other" }), { guard: "never" }],
    ["one that was ended", record({ stage: "ended" }), { guard: "never" }],
    ["a panic", record({ stage: "panic", before: "confirmed" }), { guard: "never" }],
  ])("%s", (_, given, expected) => {
    expect(verdictOn(given, NOW, "this")).toMatchObject(expected);
  });
});
