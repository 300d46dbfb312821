// A store of your own: a file to which each change is appended as one line of JSON. Two daemons, one after the other, show
// that a lease survives. Run it: node examples/custom-store.ts
import { type FileHandle, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Lease, type PendingNotification, type Store, type StoreChange, leaseId, messageOf } from "@wkfs/core";
import { WkfsError, type WkfsEvent } from "@wkfs/core";
import { checkServerConfig } from "@wkfs/core/config";
import { Services, createDaemon } from "@wkfs/core/daemon";
import { dryRun } from "@wkfs/dry-run";
import { ContainerModule } from "inversify";
import { OneProcess, freshKeys } from "./one-process.ts";

/** For one process at a time. The file only grows: begin a new one now and then. */
export class AppendedFile implements Store {
  readonly #path: string;
  #file: FileHandle | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  readonly #leases = new Map<string, Lease>();
  readonly #pending = new Map<string, PendingNotification>();
  #history: WkfsEvent[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  async open(): Promise<void> {
    await this.#named(async () => {
      const file = await open(this.#path, "a", 0o600);
      const text = await readFile(this.#path, "utf8");
      // A line that a crash tore was never acknowledged; but what follows such a line would be lost with it.
      if (text !== "" && !text.endsWith("\n"))
        throw new Error("its last line is torn: cut it off, it was never promised");
      for (const line of text.split("\n").slice(0, -1)) this.#apply(JSON.parse(line) as StoreChange);
      this.#file = file;
    });
  }

  async leases(): Promise<readonly Lease[]> {
    this.#opened();
    return [...this.#leases.values()];
  }

  /** In the order of the calls; on disk when it resolves. */
  write(change: StoreChange): Promise<void> {
    const written = this.#tail.then(() =>
      this.#named(async () => {
        const file = this.#opened();
        await file.appendFile(`${JSON.stringify(change)}\n`);
        await file.datasync();
        this.#apply(change);
      }),
    );
    this.#tail = written.catch(() => {});
    return written;
  }

  async history({
    since = -Infinity,
    limit,
  }: {
    readonly since?: number;
    readonly limit: number;
  }): Promise<WkfsEvent[]> {
    this.#opened();
    return this.#history
      .filter(({ time }) => time >= since)
      .toReversed()
      .slice(0, limit);
  }

  async pending(notifier: string, limit: number): Promise<PendingNotification[]> {
    this.#opened();
    return [...this.#pending.values()].filter((one) => one.notifier === notifier).slice(0, limit);
  }

  async close(): Promise<void> {
    await this.#tail;
    await this.#file?.close();
    this.#file = undefined;
  }

  #apply(change: StoreChange): void {
    for (const key of change.remove ?? []) this.#leases.delete(leaseId(key));
    for (const lease of change.put ?? []) this.#leases.set(leaseId(lease), lease);
    for (const one of change.enqueue ?? []) this.#pending.set(one.id, one);
    for (const id of change.dequeue ?? []) this.#pending.delete(id);
    const oldest = change.forgetBefore ?? -Infinity;
    this.#history = [...this.#history, ...(change.append ?? [])].filter(({ time }) => time >= oldest);
  }

  #opened(): FileHandle {
    if (this.#file === undefined) throw new WkfsError("STORE_FAILED", `the store ${this.#path} is not open`);
    return this.#file;
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

if (import.meta.main) {
  await using scratch = await freshKeys();
  const config = await checkServerConfig({ protect: { tcp: [22] }, firewall: [{ use: "dry-run" }] });
  const plugins = [dryRun({ write: () => {} })];
  for (const run of ["first", "second"]) {
    const transport = new OneProcess();
    const mine = new ContainerModule(({ bind }) => {
      bind(Services.Transport).toConstantValue(transport);
      bind(Services.Store).toConstantValue(new AppendedFile(join(scratch.folder, "store.jsonl")));
    });
    await using daemon = await createDaemon({ config, plugins, modules: [mine] });
    await daemon.start();
    process.stdout.write(`the ${run} daemon starts with ${daemon.leases.size} lease(s)\n`);
    const request = { ip: "192.0.2.7", ports: [{ proto: "TCP", num: 22 }], time: 60 };
    if (run === "first") await transport.call(request, AbortSignal.timeout(5000));
  }
}
