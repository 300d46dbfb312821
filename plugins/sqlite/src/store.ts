import { DatabaseSync } from "node:sqlite";
import type { Lease, PendingNotification, Store, StoreChange, WkfsEvent } from "@wkfs/core";
import { leaseId } from "@wkfs/core";
import { writeEvents } from "./event.ts";
import { damaged, failure, refused } from "./failure.ts";
import { prepareFile } from "./file.ts";
import { leaseValues } from "./lease.ts";
import { historyOf, leaseOf, pendingOf } from "./rows.ts";
import { APPLICATION, SCHEMA, type Statements, TABLES, prepare } from "./schema.ts";

/** Milliseconds to wait for another process that writes; core's limit for a write is 10 s. */
const BUSY_LIMIT = 5000;
/** Most faults that are named of a damaged file. */
const FAULTS = 3;
const MOST_ROWS = 2 ** 31 - 1;

interface Open {
  readonly database: DatabaseSync;
  readonly statements: Statements;
}

/**
 * Leases, history and waiting notifications in one SQLite file.
 *
 * A write is one transaction of the write-ahead log, which is synced to the disk before the write resolves
 * (sqlite.org/wal.html, `synchronous=FULL`). Calls are synchronous inside: a write takes some ten microseconds, less
 * than handing it to another thread would. Several processes may have the file open; a writer waits for another
 * one for a bounded time.
 *
 * What cannot be noticed: a log (`-wal`) that somebody shortened or removed while no process had it open leaves an
 * older, whole store. The packet filter still ends its leases on time.
 */
export class SqliteStore implements Store {
  readonly #file: string;
  #open: Open | undefined;

  /** A path, or `:memory:` for a store that ends with this object. */
  constructor(file: string) {
    this.#file = file;
  }

  async open(): Promise<void> {
    if (this.#open !== undefined) return;
    this.#open = this.#named("opened", () => {
      if (this.#file !== ":memory:") prepareFile(this.#file);
      const database = new DatabaseSync(this.#file, { timeout: BUSY_LIMIT });
      try {
        // A store in memory is new each time.
        if (this.#file === ":memory:") database.exec(TABLES);
        this.#check(database);
        database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;");
        const statements = prepare(database);
        // A file that cannot be written opens all the same, and would refuse the first knock.
        statements.begin.run();
        statements.rollback.run();
        return { database, statements };
      } catch (error) {
        database.close();
        throw error;
      }
    });
  }

  async leases(): Promise<readonly Lease[]> {
    return this.#named("read", () =>
      (this.#opened.statements.leases.all() as unknown as unknown[][]).map((row) => leaseOf(row, this.#file)),
    );
  }

  async write(change: StoreChange): Promise<void> {
    this.#named("written", () => {
      const { database, statements } = this.#opened;
      statements.begin.run();
      try {
        apply(change, statements);
        statements.commit.run();
      } catch (error) {
        // SQLite has rolled back by itself after some failures, such as a full disk.
        if (database.isTransaction) statements.rollback.run();
        throw error;
      }
    });
  }

  async history({
    since = Number.NEGATIVE_INFINITY,
    limit,
  }: {
    readonly since?: number;
    readonly limit: number;
  }): Promise<readonly WkfsEvent[]> {
    const most = rows(limit);
    return this.#named("read", () => {
      const found: WkfsEvent[] = [];
      for (const row of this.#opened.statements.history.iterate(since, most)) {
        found.push(...historyOf(row, this.#file).toReversed());
        if (found.length >= most) break;
      }
      return found.slice(0, most);
    });
  }

  async pending(notifier: string, limit: number): Promise<readonly PendingNotification[]> {
    return this.#named("read", () =>
      this.#opened.statements.pending.all(notifier, rows(limit)).map((row) => pendingOf(row, this.#file)),
    );
  }

  async close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    if (open !== undefined) this.#named("closed", () => open.database.close());
  }

  get #opened(): Open {
    if (this.#open !== undefined) return this.#open;
    throw refused(this.#file, "is not open", "Call open first, and nothing after close.");
  }

  /** Whose file it is and whether it is whole. */
  #check(database: DatabaseSync): void {
    const version = pragma(database, "user_version");
    if (pragma(database, "application_id") !== APPLICATION) {
      throw refused(this.#file, "is a database of another program", "Give wkfs a path of its own in `store.path`.");
    }
    if (version > SCHEMA) {
      throw refused(
        this.#file,
        `was written by a newer wkfs: its tables are of version ${version}, and this one knows ${SCHEMA}`,
        "Update wkfs on this host, or give it another path in `store.path`.",
      );
    }
    if (version > 0 && version < SCHEMA) {
      throw refused(
        this.#file,
        `was written by an older wkfs: its tables are of version ${version}, and this one knows ${SCHEMA}`,
        `Move ${this.#file} away and start again: open leases have to be knocked for again, and the history begins anew.`,
      );
    }
    if (version !== SCHEMA) throw damaged(this.#file, `its tables are of version ${version}`);
    const faults = database
      .prepare(`PRAGMA quick_check(${FAULTS})`)
      .all()
      .map(({ quick_check: text }) => String(text));
    if (faults.length !== 1 || faults[0] !== "ok") throw damaged(this.#file, faults.join("; "));
  }

  #named<Result>(doing: string, work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      throw failure(this.#file, doing, error);
    }
  }
}

function apply(change: StoreChange, statements: Statements): void {
  for (const key of change.remove ?? []) statements.remove.run(leaseId(key));
  for (const lease of change.put ?? []) statements.put.run(...leaseValues(lease));
  for (const events of moments(change.append ?? [])) statements.append.run(events[0]!.time, writeEvents(events));
  for (const { id, notifier, event } of change.enqueue ?? []) {
    statements.enqueue.run(id, notifier, writeEvents([event]));
  }
  for (const id of change.dequeue ?? []) statements.dequeue.run(id);
  if (change.forgetBefore !== undefined) statements.forget.run(change.forgetBefore);
}

/** Consecutive events of the same time. */
function moments(events: readonly WkfsEvent[]): WkfsEvent[][] {
  const found: WkfsEvent[][] = [];
  for (const event of events) {
    const last = found.at(-1);
    if (last !== undefined && last[0]!.time === event.time) last.push(event);
    else found.push([event]);
  }
  return found;
}

function pragma(database: DatabaseSync, name: "user_version" | "application_id"): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

/** A limit as SQLite takes it; a negative one would mean no limit. */
function rows(limit: number): number {
  return Math.min(MOST_ROWS, Math.max(0, Math.trunc(limit)));
}
