import { mkdtemp, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { storeSuite, testContext } from "@wkfs/core/testing";
import plugin from "./index.ts";

storeSuite(plugin.name, { describe, it }, async () => {
  const dir = await mkdtemp(join(tmpdir(), "wkfs-plugin-"));
  return {
    make: async () => plugin.create({ path: join(dir, "store.json") }, testContext()),
    persistent: true,
    damage: { "half of the file": () => truncate(join(dir, "store.json"), 100) },
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true }),
  };
});
