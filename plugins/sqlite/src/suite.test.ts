import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StoreChange, WkfsEvent } from "@wkfs/core";
import { storeSuite } from "@wkfs/core/testing";
import { describe, it } from "vitest";
import { SqliteStore } from "./store.ts";

/** No store can keep what JSON has no text for, nor a time that is none. */
function refused(): StoreChange[] {
  const event = { type: "started", time: 0, leases: 1n } as unknown as WkfsEvent;
  return [
    { append: [event] },
    { enqueue: [{ id: "x", notifier: "mail", event }] },
    { append: [{ type: "stopped", time: Number.NaN }] },
  ];
}

async function turnOver(file: string): Promise<void> {
  const bytes = await readFile(file);
  // Of the first page behind the header: the list of what is in the file.
  bytes[100] = bytes[100]! ^ 0xff;
  await writeFile(file, bytes);
}

storeSuite("sqlite", { describe, it }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "wkfs-sqlite-"));
  return {
    persistent: true,
    shared: true,
    program: { module: new URL("../testing/maker.ts", import.meta.url).href, argument: join(folder, "wkfs.db") },
    damage: {
      "half of the file": () => truncate(join(folder, "wkfs.db"), 6000),
      "no file of ours": () => writeFile(join(folder, "wkfs.db"), "hello"),
      "a byte turned over": () => turnOver(join(folder, "wkfs.db")),
    },
    make: async () => new SqliteStore(join(folder, "wkfs.db")),
    refused,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
});

storeSuite("sqlite in memory", { describe, it }, async () => ({
  persistent: false,
  make: async () => new SqliteStore(":memory:"),
  refused,
  [Symbol.asyncDispose]: async () => {},
}));
