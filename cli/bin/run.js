#!/usr/bin/env node
// Plain JavaScript that any Node can read far enough to say that it is too old.
import module from "node:module";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import process from "node:process";

if (Number.parseInt(process.versions.node, 10) < 24) {
  process.stderr.write(`Error: wkfs needs Node 24 or newer; this is ${process.version}\nHint: Install Node 24.\n`);
  process.exit(1);
}

const root = process.getuid?.() === 0;
// Not Node's default below /tmp: there somebody else could put code for root to run.
const caches = process.env.XDG_CACHE_HOME ?? "";
module.enableCompileCache(
  root ? "/var/cache/wkfs/node" : join(isAbsolute(caches) ? caches : join(homedir(), ".cache"), "wkfs", "node"),
);

const { execute } = await import("@oclif/core");
const { defaultDataDir, untrustedBecause } = await import("../dist/data-dir.js");
process.env.WKFS_DATA_DIR ||= defaultDataDir(process.env);
// oclif runs hooks of installed plugins while it loads: a folder that others can write is not read at all.
const userPlugins = untrustedBecause(process.env.WKFS_DATA_DIR) === undefined;
// Not awaited: a closed stdout must not become an unsettled top-level await, which is exit code 13.
void execute({ dir: import.meta.url, loadOptions: { root: import.meta.dirname, userPlugins } });
