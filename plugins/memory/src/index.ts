import { API_VERSION, definePlugin } from "@wkfs/core";
import { SqliteStore } from "@wkfs/sqlite";
import { z } from "zod";

/** The store of `@wkfs/sqlite` in memory, for tests and embedding: nothing survives the process. */
export default definePlugin({
  name: "memory",
  apiVersion: API_VERSION,
  kind: "store",
  configSchema: z.strictObject({}),
  create(_config, { log }) {
    log.warn({}, "the store is in memory: when this process ends, leases that are open and mails that wait are forgotten");
    return new SqliteStore(":memory:");
  },
});
