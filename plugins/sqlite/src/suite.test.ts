import { mkdtemp, rm } from "node:fs/promises";
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

storeSuite("sqlite", { describe, it }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "wkfs-sqlite-"));
  return {
    persistent: true,
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
