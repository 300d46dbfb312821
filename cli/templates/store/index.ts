import { open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { API_VERSION, type Lease, type PendingNotification, type Store, type StoreChange } from "@wkfs/core";
import { WkfsError, type WkfsEvent, definePlugin, leaseId, messageOf } from "@wkfs/core";
import { z } from "zod";

interface Content {
  readonly leases: readonly Lease[];
  /** Oldest first. */
  readonly history: readonly WkfsEvent[];
  readonly pending: readonly PendingNotification[];
}

class JsonFile implements Store {
  readonly #path: string;
  #content: Content | undefined;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  async open() {
    this.#content = await this.#named(async () => {
      try {
        const content = JSON.parse(await readFile(this.#path, "utf8")) as Content;
        if ([content.leases, content.history, content.pending].every(Array.isArray)) return content;
        throw new Error("it is damaged");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        return { leases: [], history: [], pending: [] };
      }
    });
  }

  async leases() {
    return this.#opened.leases;
  }

  write(change: StoreChange): Promise<void> {
    const written = this.#tail.then(() =>
      this.#named(async () => {
        const content = changed(this.#opened, change);
        await save(this.#path, JSON.stringify(content));
        this.#content = content;
      }),
    );
    this.#tail = written.catch(() => {});
    return written;
  }

  async history({ since = Number.NEGATIVE_INFINITY, limit }: { readonly since?: number; readonly limit: number }) {
    const events = this.#opened.history.filter(({ time }) => time >= since);
    return events.toReversed().slice(0, limit);
  }

  async pending(notifier: string, limit: number) {
    return this.#opened.pending.filter((pending) => pending.notifier === notifier).slice(0, limit);
  }

  async close() {
    await this.#tail;
    this.#content = undefined;
  }

  get #opened(): Content {
    if (this.#content === undefined) throw new WkfsError("STORE_FAILED", `the store ${this.#path} is not open`);
    return this.#content;
  }

  async #named<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof WkfsError) throw error;
      const hint = "See who may write its folder, and that the disk is not full.";
      throw new WkfsError("STORE_FAILED", `the store ${this.#path}: ${messageOf(error)}`, { hint, cause: error });
    }
  }
}

function changed(content: Content, change: StoreChange): Content {
  const leases = new Map(content.leases.map((lease) => [leaseId(lease), lease]));
  for (const key of change.remove ?? []) leases.delete(leaseId(key));
  for (const lease of change.put ?? []) leases.set(leaseId(lease), lease);
  const oldest = change.forgetBefore ?? Number.NEGATIVE_INFINITY;
  const history = [...content.history, ...(change.append ?? [])].filter(({ time }) => time >= oldest);
  const done = new Set(change.dequeue);
  const pending = [...content.pending, ...(change.enqueue ?? [])].filter(({ id }) => !done.has(id));
  return { leases: [...leases.values()], history, pending };
}

/** On disk when it resolves, and never half: a new file, synced, in the place of the old one. */
async function save(path: string, text: string) {
  await using file = await open(`${path}.new`, "w", 0o600);
  await file.writeFile(text);
  await file.sync();
  await rename(`${path}.new`, path);
  await using folder = await open(dirname(path));
  await folder.sync();
}

export default definePlugin({
  name: "example",
  apiVersion: API_VERSION,
  kind: "store",
  configSchema: z.strictObject({ path: z.string().startsWith("/") }),
  create: ({ path }) => new JsonFile(path),
});
