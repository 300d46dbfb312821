import { chmodSync, closeSync, lstatSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type Lease, type PendingNotification, type Store, type StoreChange, WkfsError, type WkfsEvent, isWkfsError, messageOf } from "@wkfs/core";
import { damaged, eventOf, keyParameters, leaseOf } from "./rows.ts";

/** Version of the tables, in the file's `user_version`. */
const SCHEMA = 1;
/** Milliseconds to wait for another process that writes. */
const BUSY = 5000;

const TABLES = `
  CREATE TABLE leases (
    address TEXT NOT NULL, length INTEGER NOT NULL, protocol TEXT NOT NULL, port INTEGER NOT NULL,
    client TEXT NOT NULL, opened_at REAL NOT NULL, deadline REAL NOT NULL,
    PRIMARY KEY (address, length, protocol, port)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE history (id INTEGER PRIMARY KEY, time REAL NOT NULL, type TEXT NOT NULL, event TEXT NOT NULL) STRICT;
  CREATE INDEX history_time ON history (time);
  CREATE TABLE pending (
    sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, notifier TEXT NOT NULL, event TEXT NOT NULL
  ) STRICT;
  CREATE INDEX pending_notifier ON pending (notifier, sequence);
  PRAGMA user_version = ${SCHEMA};
`;

const STATEMENTS = {
  leases: "SELECT address, length, protocol, port, client, opened_at, deadline FROM leases",
  remove: "DELETE FROM leases WHERE address = ? AND length = ? AND protocol = ? AND port = ?",
  put: "INSERT OR REPLACE INTO leases (address, length, protocol, port, client, opened_at, deadline) VALUES (?, ?, ?, ?, ?, ?, ?)",
  append: "INSERT INTO history (time, type, event) VALUES (?, ?, ?)",
  history: "SELECT event FROM history WHERE time >= ? ORDER BY id DESC LIMIT ?",
  forget: "DELETE FROM history WHERE time < ?",
  enqueue: "INSERT OR IGNORE INTO pending (id, notifier, event) VALUES (?, ?, ?)",
  dequeue: "DELETE FROM pending WHERE id = ?",
  pending: "SELECT id, notifier, event FROM pending WHERE notifier = ? ORDER BY sequence LIMIT ?",
} as const;

/**
 * Leases, history and waiting notifications in one SQLite file. A write is one transaction in a write-ahead log that is
 * synced to the disk before the write resolves (sqlite.org/wal.html, `PRAGMA synchronous=FULL`).
 */
export class SqliteStore implements Store {
  readonly #file: string;
  #database: DatabaseSync | undefined;
  #statements: Record<keyof typeof STATEMENTS, StatementSync> | undefined;

  /** A path, or `:memory:` for a store that ends with the process. */
  constructor(file: string) {
    this.#file = file;
  }

  async open(): Promise<void> {
    if (this.#database !== undefined) return;
    this.#guard("open", () => {
      if (this.#file !== ":memory:") prepareFile(this.#file);
      const database = new DatabaseSync(this.#file, { timeout: BUSY });
      try {
        database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;");
        this.#checkWhole(database);
        this.#makeTables(database);
        this.#statements = Object.fromEntries(Object.entries(STATEMENTS).map(([name, sql]) => [name, database.prepare(sql)])) as Record<
          keyof typeof STATEMENTS,
          StatementSync
        >;
      } catch (error) {
        database.close();
        throw error;
      }
      this.#database = database;
    });
  }

  async leases(): Promise<readonly Lease[]> {
    return this.#guard("read", () => this.#prepared.leases.all().map((row) => leaseOf(row, this.#file)));
  }

  async write(change: StoreChange): Promise<void> {
    this.#guard("write", () => {
      const prepared = this.#prepared;
      this.#database!.exec("BEGIN IMMEDIATE");
      try {
        for (const key of change.remove ?? []) prepared.remove.run(...keyParameters(key));
        for (const lease of change.put ?? []) prepared.put.run(...keyParameters(lease), lease.client, lease.openedAt, lease.deadline);
        for (const event of change.append ?? []) prepared.append.run(event.time, event.type, JSON.stringify(event));
        for (const { id, notifier, event } of change.enqueue ?? []) prepared.enqueue.run(id, notifier, JSON.stringify(event));
        for (const id of change.dequeue ?? []) prepared.dequeue.run(id);
        if (change.forgetBefore !== undefined) prepared.forget.run(change.forgetBefore);
        this.#database!.exec("COMMIT");
      } catch (error) {
        if (this.#database!.isTransaction) this.#database!.exec("ROLLBACK");
        throw error;
      }
    });
  }

  async history({ since = 0, limit }: { readonly since?: number; readonly limit: number }): Promise<readonly WkfsEvent[]> {
    return this.#guard("read", () => this.#prepared.history.all(since, limit).map(({ event }) => eventOf(event, this.#file)));
  }

  async pending(notifier: string, limit: number): Promise<readonly PendingNotification[]> {
    return this.#guard("read", () =>
      this.#prepared.pending.all(notifier, limit).map((row) => ({ id: String(row["id"]), notifier: String(row["notifier"]), event: eventOf(row["event"], this.#file) })),
    );
  }

  async close(): Promise<void> {
    const database = this.#database;
    this.#database = undefined;
    this.#statements = undefined;
    if (database !== undefined) this.#guard("close", () => database.close());
  }

  get #prepared(): Record<keyof typeof STATEMENTS, StatementSync> {
    if (this.#statements === undefined) throw new WkfsError("STORE_FAILED", `the store ${this.#file} is not open`, { hint: "Call open first." });
    return this.#statements;
  }

  #checkWhole(database: DatabaseSync): void {
    const findings = database.prepare("PRAGMA quick_check(3)").all().map((row) => String(Object.values(row)[0]));
    if (findings.length !== 1 || findings[0] !== "ok") throw damaged(this.#file, findings.join("; "));
  }

  #makeTables(database: DatabaseSync): void {
    const version = Number(Object.values(database.prepare("PRAGMA user_version").get() ?? {})[0]);
    const tables = Number(Object.values(database.prepare("SELECT count(*) FROM sqlite_schema").get() ?? {})[0]);
    if (version === 0 && tables === 0) {
      database.exec(`BEGIN IMMEDIATE; ${TABLES} COMMIT;`);
    } else if (version > SCHEMA) {
      throw new WkfsError("STORE_FAILED", `the store ${this.#file} was written by a newer wkfs (its tables are of version ${version})`, { hint: "Update wkfs on this host." });
    } else if (version !== SCHEMA) {
      throw new WkfsError("STORE_FAILED", `${this.#file} is a database of another program`, { hint: "Give wkfs a path of its own in `store.path`." });
    }
  }

  /** Names the file in what SQLite or the host says, and what to do. */
  #guard<Result>(doing: string, work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      if (isWkfsError(error)) throw error;
      const text = messageOf(error);
      if (/malformed|not a database|corrupt/i.test(text)) throw damaged(this.#file, text, error);
      throw new WkfsError("STORE_FAILED", `cannot ${doing} the store ${this.#file}: ${text}`, {
        hint: /full/i.test(text) ? "Make room on the disk." : "Check the path, who owns it, and that the disk is writable.",
        cause: error,
      });
    }
  }
}

/** Makes folder and file for nobody else to read, and refuses a file that others may have written. */
function prepareFile(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined) {
    closeSync(openSync(file, "ax", 0o600));
    return;
  }
  if (!found.isFile()) throw new WkfsError("STORE_FAILED", `the store ${file} is no regular file`, { hint: "Give the path of a file in `store.path`." });
  // SQLite would take an empty file for a new database, and a store that was cut off for one that never held a lease.
  if (found.size === 0) throw damaged(file, "it is empty");
  if ((found.mode & 0o022) !== 0) {
    throw new WkfsError("STORE_FAILED", `the store ${file} can be written by others: who writes it opens ports`, { hint: `Run: chmod 0600 ${file}` });
  }
  if ((found.mode & 0o077) !== 0) chmodSync(file, 0o600);
}
