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
if (existsSync(cache)) {
  const { untrustedBecause } = await import("../dist/data-dir.js");
  // What stands there is run as it is.
  if (untrustedBecause(cache) === undefined) module.enableCompileCache(join(cache, "node"));
}

const { run } = await import("../bundle/run.js");
run(import.meta.dirname);
