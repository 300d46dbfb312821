import { execFileSync } from "node:child_process";
import { writeSync } from "node:fs";
import { isWkfsError } from "@wkfs/core";
import { SqliteStore } from "../src/store.ts";
import { lease, opened } from "./samples.ts";

/**
 * A process that writes leases one after the other and says the number of each when it is written:
 * `writer.ts FILE FIRST COUNT [TMPFS]`. With TMPFS it mounts a disk of 400 KiB there first. A refused write ends it; it says the
 * error's code, and then how many leases it can still read.
 */
const [file = "", first = "0", count = "0", disk] = process.argv.slice(2);
if (disk !== undefined) execFileSync("mount", ["-t", "tmpfs", "-o", "size=400k", "tmpfs", disk]);
const store = new SqliteStore(file);
try {
  await store.open();
  for (let host = Number(first); host < Number(first) + Number(count); host += 1) {
    // The second lease of each write shows whether writes are whole.
    await store.write({ put: [lease(host), lease(host + 0x80_00_00)], append: [opened(lease(host))] });
    writeSync(1, `${host}\n`);
  }
} catch (error) {
  writeSync(1, `${isWkfsError(error) ? error.code : String(error)}\n`);
  writeSync(1, `${(await store.leases()).length}\n`);
}
await store.close();
