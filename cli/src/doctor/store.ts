import { existsSync } from "node:fs";
import { stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { messageOf } from "@wkfs/core";
import { type Found, error, note, ok, warning } from "./finding.ts";

export interface StoreFacts {
  readonly path: string;
  /** Bytes; undefined when there is no such file. */
  readonly size: number | undefined;
  /** Bytes that are free on its disk. */
  readonly free: number | undefined;
  /** What `PRAGMA quick_check` said, `ok` when all is well; or why it could not be asked. */
  readonly checked: { readonly said: string } | { readonly failure: string } | undefined;
}

const MEBIBYTE = 1_048_576;
/** A history of months is some ten megabytes; what is new must fit as well. */
const LEAST_FREE = 64 * MEBIBYTE;

export function storeFindings({ path, size, free, checked }: StoreFacts): Found[] {
  if (size === undefined) return [note(`there is no store ${path} yet: the daemon makes it when it first starts`)];
  const found: Found[] = [];
  if (checked !== undefined && "said" in checked && checked.said !== "ok")
    found.push(
      error(
        `the store ${path} is damaged: ${checked.said}`,
        `systemctl stop wkfs-daemon && mv ${path} ${path}.damaged  # leases and history begin anew`,
      ),
    );
  if (checked !== undefined && "failure" in checked)
    found.push(
      /not a database|malformed/.test(checked.failure)
        ? error(
            `the store ${path} is damaged: ${checked.failure}`,
            `systemctl stop wkfs-daemon && mv ${path} ${path}.damaged`,
          )
        : note(`the store ${path} cannot be looked into: ${checked.failure}`, "sudo wkfs doctor"),
    );
  if (free !== undefined && free < LEAST_FREE)
    found.push(
      error(
        `${Math.floor(free / MEBIBYTE)} MiB are free where the store is: when it is full nothing is opened`,
        `df ${dirname(path)}`,
      ),
    );
  return found.length > 0 ? found : [ok(`the store ${path} is whole (${(size / MEBIBYTE).toFixed(1)} MiB)`)];
}

/** Reads a store of `sqlite` as it stands, beside a daemon that writes it. */
export async function readStore(path: string): Promise<StoreFacts> {
  const size = (await stat(path).catch(() => undefined))?.size;
  const disk = await statfs(dirname(path)).catch(() => undefined);
  const free = disk && disk.bavail * disk.bsize;
  return { path, size, free, checked: size === undefined ? undefined : quickCheck(path) };
}

function quickCheck(path: string): StoreFacts["checked"] {
  try {
    // Without a log nobody has it open, and who reads it so leaves none behind.
    const closed = pathToFileURL(path);
    closed.searchParams.set("immutable", "1");
    const database = new DatabaseSync(existsSync(`${path}-wal`) ? path : closed, { readOnly: true });
    try {
      const row = database.prepare("PRAGMA quick_check(1)").get();
      return { said: String(row?.["quick_check"] ?? "nothing") };
    } finally {
      database.close();
    }
  } catch (failure) {
    return { failure: messageOf(failure) };
  }
}

/** For a store of another kind there is what the daemon says of it. */
export function otherStore(use: string): Found[] {
  return use === "memory"
    ? [
        warning(
          "the store is memory: leases and history are forgotten when the daemon stops",
          "use: sqlite in `store:` of the configuration",
        ),
      ]
    : [note(`the store ${use} is known to the daemon alone: see \`wkfs status\``)];
}
