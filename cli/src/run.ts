import process from "node:process";
import { execute } from "@oclif/core/execute";
import { defaultDataDir, mayTakeUp } from "./data-dir.ts";
import { lendCore } from "./lend-core.ts";

/** Commands for which no commands of plugins are looked for: the servers need none, and a broken plugin must not stand in the way of its own end. */
const ALONE = /^(daemon|serve|plugins[: ](uninstall|remove|unlink|update|install|add))( |$)/;

/** What `bin/run.js` runs once it knows that this Node can; `root` is a folder of our package. */
export function run(root: string): void {
  process.env["WKFS_DATA_DIR"] ||= defaultDataDir(process.env);
  // oclif runs code of installed plugins while it loads: from where others can write, nothing is taken up.
  const userPlugins = !isAlone(process.argv.slice(2)) && mayTakeUp(process.env["WKFS_DATA_DIR"]);
  if (userPlugins) lendCore();
  // Not awaited: a closed stdout must not become an unsettled top-level await, which is exit code 13.
  void execute({ dir: root, loadOptions: { root, userPlugins } });
}

function isAlone(args: readonly string[]): boolean {
  return ALONE.test(`${args.slice(0, 2).join(" ")} `);
}
