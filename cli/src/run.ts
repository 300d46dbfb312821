import process from "node:process";
import { execute } from "@oclif/core/execute";
import { defaultDataDir, untrustedBecause } from "./data-dir.ts";

/** What `bin/run.js` runs once it knows that this Node can; `root` is a folder of our package. */
export function run(root: string): void {
  process.env["WKFS_DATA_DIR"] ||= defaultDataDir(process.env);
  // oclif runs hooks of installed plugins while it loads: a folder that others can write is not read at all.
  const userPlugins = untrustedBecause(process.env["WKFS_DATA_DIR"]) === undefined;
  // Not awaited: a closed stdout must not become an unsettled top-level await, which is exit code 13.
  void execute({ dir: root, loadOptions: { root, userPlugins } });
}
