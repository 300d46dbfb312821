#!/usr/bin/env node
// Plain JavaScript that any Node can read far enough to say that it is too old.
import { existsSync } from "node:fs";
import module from "node:module";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import process from "node:process";

if (Number.parseInt(process.versions.node, 10) < 24) {
  process.stderr.write(`Error: wkfs needs Node 24 or newer; this is ${process.version}\nHint: Install Node 24.\n`);
  process.exit(1);
}

// Compiled code is kept where a folder for it was made, and nowhere else: not in Node's default below /tmp, where
// somebody else could put code for root to run, and not in a folder that nobody asked for.
const caches = process.env.XDG_CACHE_HOME ?? "";
const cache =
  process.getuid?.() === 0 ? "/var/cache/wkfs" : join(isAbsolute(caches) ? caches : join(homedir(), ".cache"), "wkfs");
if (existsSync(cache)) module.enableCompileCache(join(cache, "node"));

const { execute } = await import("@oclif/core/execute");
const { defaultDataDir, mayTakeUp } = await import("../dist/data-dir.js");
process.env.WKFS_DATA_DIR ||= defaultDataDir(process.env);
// oclif runs code of installed plugins while it loads: from where others can write, nothing is taken up.
const userPlugins = mayTakeUp(process.env.WKFS_DATA_DIR);
if (userPlugins) (await import("../dist/lend-core.js")).lendCore();
// Not awaited: a closed stdout must not become an unsettled top-level await, which is exit code 13.
void execute({ dir: import.meta.url, loadOptions: { root: import.meta.dirname, userPlugins } });
