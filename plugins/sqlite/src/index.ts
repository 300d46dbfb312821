import { API_VERSION, definePlugin } from "@wkfs/core";
import { z } from "zod";
import { SqliteStore } from "./store.ts";

export { SqliteStore } from "./store.ts";

/** The default store: one SQLite file, written through to the disk. */
export default definePlugin({
  name: "sqlite",
  apiVersion: API_VERSION,
  kind: "store",
  configSchema: z.strictObject({
    path: z
      .string()
      .max(4096)
      .regex(/^\/[^\0]*[^/\0]$/, "expected the absolute path of a file")
      .describe("The file, absolute. It and its folder are made when they are missing."),
  }),
  create: ({ path }) => new SqliteStore(path),
});
