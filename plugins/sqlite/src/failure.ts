import { WkfsError, isWkfsError, messageOf } from "@wkfs/core";

/** Primary result codes of SQLite (sqlite.org/rescode.html); extended ones have them in their low byte. */
const BUSY = 5;
const LOCKED = 6;
const CORRUPT = 11;
const FULL = 13;
const NOT_A_DATABASE = 26;

/** For a file that cannot be believed. Reading on would forget leases in silence, so nothing of it is read. */
export function damaged(file: string, what: string, cause?: unknown): WkfsError {
  return new WkfsError("STORE_FAILED", `the store ${file} is damaged: ${what}`, {
    hint: `Move ${file}, ${file}-wal and ${file}-shm away and start again; lost are the history, mails that wait and who holds open leases, and these have to be knocked for again.`,
    cause,
  });
}

export function refused(file: string, what: string, hint: string, cause?: unknown): WkfsError {
  return new WkfsError("STORE_FAILED", `the store ${file} ${what}`, { hint, cause });
}

/** Whatever went wrong, as an error that names the file and says what to do. */
export function failure(file: string, doing: string, error: unknown): WkfsError {
  if (isWkfsError(error)) return error;
  const text = messageOf(error);
  switch (resultCode(error)) {
    case CORRUPT:
    case NOT_A_DATABASE:
      return damaged(file, text, error);
    case FULL:
      return refused(file, `cannot be ${doing}: ${text}`, "Make room on the disk.", error);
    case BUSY:
    case LOCKED:
      return refused(file, `cannot be ${doing}: ${text}`, "See which other process holds it open for writing.", error);
    default:
      return refused(
        file,
        `cannot be ${doing}: ${text}`,
        "Check the path, who owns it, and whether the disk is mounted, writable and sound.",
        error,
      );
  }
}

function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return undefined;
  return error.errcode & 0xff;
}
