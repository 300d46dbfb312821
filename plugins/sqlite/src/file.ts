import { randomUUID } from "node:crypto";
import { closeSync, existsSync, fsyncSync, linkSync, lstatSync, mkdirSync, openSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { damaged, refused } from "./failure.ts";
import { TABLES } from "./schema.ts";

/**
 * Makes the store when there is none, and looks at what is there otherwise. A store comes into being with all its
 * tables at once, so an empty file is never one that was just begun: it is one that lost its content.
 */
export function prepareFile(file: string): void {
  makeFolder(dirname(file));
  const found = lstatSync(file, { throwIfNoEntry: false });
  const log = lstatSync(`${file}-wal`, { throwIfNoEntry: false });
  if (found === undefined) {
    // SQLite would throw such a log away, and with it what was written last.
    if (log !== undefined) throw damaged(file, `it is gone, and ${file}-wal is still there`);
    create(file);
    return;
  }
  if (!found.isFile()) throw refused(file, "is no regular file", "Give the path of a file in `store.path`.");
  if (found.size === 0) throw damaged(file, "it is empty");
  for (const [name, mode] of [
    [file, found.mode],
    [`${file}-wal`, log?.mode ?? 0],
  ] as const) {
    if ((mode & 0o022) === 0) continue;
    const octal = (mode & 0o777).toString(8).padStart(4, "0");
    throw refused(
      file,
      `can be written by others (${name} has mode ${octal}), and who writes it opens ports`,
      `Make sure that nobody did, then run: chmod 0600 ${name}`,
    );
  }
}

/** Not by mkdir's own `recursive`, which never comes back from a folder such as /proc, where nothing can be made. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (!isExists(error)) throw error;
  }
}

/** Makes the database beside its place and links it there, which fails when another process was faster. */
function create(file: string): void {
  const draft = `${file}.${randomUUID()}`;
  closeSync(openSync(draft, "ax", 0o600));
  try {
    const database = new DatabaseSync(draft);
    try {
      database.exec(`PRAGMA synchronous = FULL; BEGIN; ${TABLES} COMMIT; PRAGMA journal_mode = WAL;`);
    } finally {
      database.close();
    }
    sync(draft);
    try {
      linkSync(draft, file);
    } catch (error) {
      if (!isExists(error)) throw error;
    }
  } finally {
    unlinkSync(draft);
  }
  sync(dirname(file));
}

function isExists(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EEXIST";
}

function sync(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
