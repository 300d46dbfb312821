import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { firewallSuite, testContext } from "@wkfs/core/testing";
import plugin from "./index.ts";

firewallSuite(plugin.name, { describe, it }, async () => {
  const dir = await mkdtemp(join(tmpdir(), "wkfs-plugin-"));
  const path = join(dir, "leases");
  return {
    make: async () => plugin.create({ path }, testContext()),
    now: () => Date.now(),
    harm: { "the file is removed": () => rm(path) },
    snapshot: () => readFile(path, "utf8").catch(() => "no file"),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true }),
  };
});
