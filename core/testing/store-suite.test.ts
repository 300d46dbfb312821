import { describe, it } from "vitest";
import { WkfsError } from "../src/model/errors.ts";
import { MemoryStore } from "./memory-store.ts";
import { storeSuite } from "./store-suite.ts";

storeSuite("the store in memory", { describe, it }, async () => {
  const disk = new MemoryStore();
  return {
    persistent: true,
    shared: true,
    async make() {
      const store = new MemoryStore(disk);
      store.onWrite = ({ append = [] }) => {
        if (append.some(({ time }) => Number.isNaN(time))) throw new WkfsError("STORE_FAILED", "a time is none");
      };
      return store;
    },
    refused: () => [{ append: [{ type: "stopped", time: Number.NaN }] }],
    [Symbol.asyncDispose]: async () => {},
  };
});
