import { describe, it } from "vitest";
import { WkfsError } from "../src/model/errors.ts";
import { MemoryStore } from "./memory-store.ts";
import { storeSuite } from "./store-suite.ts";

storeSuite("the store in memory", { describe, it }, async () => {
  const store = new MemoryStore();
  store.onWrite = ({ append = [] }) => {
    if (append.some(({ time }) => Number.isNaN(time))) throw new WkfsError("STORE_FAILED", "a time is none");
  };
  return {
    persistent: true,
    make: async () => store,
    refused: () => [{ append: [{ type: "stopped", time: Number.NaN }] }],
    [Symbol.asyncDispose]: async () => {},
  };
});
