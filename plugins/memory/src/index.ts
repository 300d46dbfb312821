import { API_VERSION, type Logger, definePlugin } from "@wkfs/core";
import { SqliteStore } from "@wkfs/sqlite";
import { z } from "zod";

/** The store of `@wkfs/sqlite` in memory, for tests and embedding: nothing survives it. */
class MemoryStore extends SqliteStore {
  readonly #log: Logger;

  constructor(log: Logger) {
    super(":memory:");
    this.#log = log;
  }

  override async open(): Promise<void> {
    await super.open();
    this.#log.warn(
      {},
      "the store is in memory: when this process ends, the history, mails that wait and who holds open leases are forgotten",
    );
  }
}

export default definePlugin({
  name: "memory",
  apiVersion: API_VERSION,
  kind: "store",
  configSchema: z.strictObject({}),
  create: (_config, { log }) => new MemoryStore(log),
});
