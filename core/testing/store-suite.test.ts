import { describe, it } from "vitest";
import { MemoryStore } from "./memory-store.ts";
import { storeSuite } from "./store-suite.ts";

storeSuite("the store in memory", { describe, it }, async () => {
  const store = new MemoryStore();
  return { persistent: true, make: async () => store, [Symbol.asyncDispose]: async () => {} };
});
