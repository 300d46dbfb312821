import { API_VERSION, definePlugin } from "@wkfs/core";
import { z } from "zod";
import { SqliteStore } from "./store.ts";

export { SqliteStore } from "./store.ts";

/** The default store: one SQLite file, written through to the disk (WAL, synchronous=FULL). */
export default definePlugin({
  name: "sqlite",
  apiVersion: API_VERSION,
  kind: "store",
  configSchema: z.strictObject({
    /** The file, absolute; its folder is made when it is missing. */
    path: z.string().regex(/^\//, "expected an absolute path"),
  }),
  create: ({ path }) => new SqliteStore(path),
});
