import { SqliteStore } from "../src/store.ts";

/** What the conformance suite calls in another process, which it kills. */
export default (file: string): SqliteStore => new SqliteStore(file);
