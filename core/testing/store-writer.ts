import { writeSync } from "node:fs";
import type { Store } from "../src/contracts/store.ts";
import { stepOf } from "./store-writing.ts";

/**
 * A process that writes one change after the other into a store until it is killed, and says the number of each when it is
 * written: `store-writer MODULE ARGUMENT FIRST`.
 */
const [module = "", argument = "", first = "0"] = process.argv.slice(2);
const { default: make } = (await import(module)) as { readonly default: (argument: string) => Store | Promise<Store> };
const store = await make(argument);
await store.open();
for (let number = Number(first); ; number += 1) {
  await store.write(stepOf(number));
  writeSync(1, `${number}\n`);
}
