// For `node --import`: writes the URLs of all modules that the process loaded to $WKFS_TEST_MODULES, one a line.
import { writeFileSync } from "node:fs";
import { registerHooks } from "node:module";
import process from "node:process";

const loaded = new Set();
registerHooks({
  load(url, context, next) {
    loaded.add(url);
    return next(url, context);
  },
});
process.on("exit", () => writeFileSync(process.env.WKFS_TEST_MODULES, [...loaded].join("\n")));
