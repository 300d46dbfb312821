import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { WkfsError } from "@wkfs/core";
import { unwritable } from "./installed.ts";

/** The file whose lock it is. It stays, and is empty. */
const FILE = ".lock";
/** Result code of SQLite for what somebody else has locked; https://www.sqlite.org/rescode.html#busy */
const BUSY = 5;

/**
 * Does what changes a data directory while no other process does. The lock is the kernel's, which SQLite knows how to take where Node
 * does not: it ends with its process, however that ends, so none is ever left behind. Waits for nobody. Throws `STATE_INVALID`
 * while another has it, and `HOST_UNSUPPORTED` where it cannot be taken.
 */
export async function alone<Result>(dataDir: string, work: () => Promise<Result>): Promise<Result> {
  // Where nothing is, nothing is changed.
  if (!existsSync(dataDir)) return await work();
  using _ = lockOf(dataDir);
  return await work();
}

function lockOf(dataDir: string): Disposable {
  try {
    const file = new DatabaseSync(join(dataDir, FILE), { timeout: 0 });
    try {
      file.exec("BEGIN EXCLUSIVE");
      return { [Symbol.dispose]: () => file.close() };
    } catch (error) {
      file.close();
      throw error;
    }
  } catch (error) {
    if ((error as { readonly errcode?: unknown }).errcode !== BUSY) throw unwritable(dataDir, error);
    throw new WkfsError("STATE_INVALID", `another wkfs changes the plugins in ${dataDir} at this moment`, {
      hint: "Run this again when that one has ended; `wkfs plugins` then shows what there is.",
      cause: error,
    });
  }
}
