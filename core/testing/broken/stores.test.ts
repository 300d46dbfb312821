import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { StoreChange } from "../../src/contracts/store.ts";
import { MemoryStore } from "../memory-store.ts";
import type { TestRunner } from "../runner.ts";
import { storeSuite } from "../store-suite.ts";
import { FILE_STORES } from "./file-store.ts";
import { verdictOf } from "./verdict.ts";

type Name = keyof typeof FILE_STORES;

const suiteOf = (name: Name) => (runner: TestRunner) =>
  storeSuite(`a ${name}`, runner, async () => {
    const folder = await mkdtemp(join(tmpdir(), "wkfs-broken-"));
    const path = join(folder, "store.json");
    return {
      persistent: true,
      make: async () => new FILE_STORES[name](path),
      refused: () => [{ append: [{ type: "stopped", time: Number.NaN }] }],
      damage: {
        "half of the file": async () => await writeFile(path, (await readFile(path, "utf8")).slice(0, 200)),
        "an empty file": () => writeFile(path, ""),
      },
      program: { module: new URL("file-store.ts", import.meta.url).href, argument: `${name}:${path}` },
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
    };
  });

suiteOf("FileStore")({ describe, it });

/** Each process goes by what it read when it opened, and writes that. */
class Lonely extends MemoryStore {
  readonly #disk: MemoryStore;
  constructor(disk: MemoryStore) {
    super();
    this.#disk = disk;
  }
  override async open(): Promise<void> {
    copy(this.#disk, this);
    await super.open();
  }
  override async write(change: StoreChange): Promise<void> {
    await super.write(change);
    copy(this, this.#disk);
  }
}

function copy(from: MemoryStore, to: MemoryStore): void {
  to.historyOnDisk.splice(0, to.historyOnDisk.length, ...from.historyOnDisk);
  for (const [mine, theirs] of [
    [from.leasesOnDisk, to.leasesOnDisk],
    [from.waiting, to.waiting],
  ] as [Map<string, unknown>, Map<string, unknown>][]) {
    theirs.clear();
    for (const [key, value] of mine) theirs.set(key, value);
  }
}

const TWO = "two at a time write into one place, and none loses what is written";
const KILLED = "a process that is killed while it writes leaves all that was written, and nothing torn";
const ON_DISK = "what resolved is on disk: a store that was never closed loses nothing";
const BROKEN: readonly [string, Name, string[]][] = [
  ["tears what a crash interrupts", "Tearing", [KILLED]],
  ["writes a change in two parts", "Halving", [KILLED]],
  ["says that it wrote before it has", "Lazy", [KILLED, ON_DISK]],
  ["reads a torn file as an empty one", "Hopeful", ["a damaged one is reported, and never read as an empty one"]],
  ["keeps half of what it refused", "Piecemeal", ["all of a change or nothing"]],
  [
    "lets writes overtake each other",
    "Hurried",
    ["writes are applied in the order of their calls, whoever waits for them"],
  ],
  [
    "answers when it is closed",
    "Open",
    ["refuses before it is opened, and closes all the same", "close is idempotent, and a closed one refuses"],
  ],
  [
    "forgets notifications when it is opened again",
    "Forgetting",
    [
      KILLED,
      ON_DISK,
      "all of a change or nothing",
      "events of every type come back as they were",
      "forgetting drops history that is older, and nothing else",
      "hostile text stays text",
      "notifications wait for their notifier alone, oldest first, as many as asked for",
      "what is dequeued waits no more, and dequeuing what is unknown is no error",
    ],
  ],
];

describe("the suite of stores finds a store that", () => {
  it.each(BROKEN)("%s", async (_, name, expected) => {
    const { failed } = await verdictOf(suiteOf(name), 20_000);
    expect(Object.keys(failed).toSorted()).toEqual(expected.toSorted());
  });

  it("goes by what it read when it opened", async () => {
    const { failed } = await verdictOf((runner) =>
      storeSuite("lonely", runner, async () => {
        const disk = new MemoryStore();
        return {
          persistent: true,
          shared: true,
          make: async () => new Lonely(disk),
          [Symbol.asyncDispose]: async () => {},
        };
      }),
    );
    expect(Object.keys(failed)).toEqual([TWO]);
  });

  it("has no fault: it fails nothing, and skips what is for several processes", async () => {
    const { failed, skipped } = await verdictOf(suiteOf("FileStore"), 20_000);
    expect({ failed, skipped }).toEqual({ failed: {}, skipped: [TWO] });
  });
});
