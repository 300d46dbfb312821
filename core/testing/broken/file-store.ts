import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import type { StoreChange } from "../../src/contracts/store.ts";
import { WkfsError, messageOf } from "../../src/model/errors.ts";
import { leaseId } from "../../src/model/lease.ts";
import { MemoryStore } from "../memory-store.ts";

interface Content {
  readonly leases: MemoryStore["leasesOnDisk"] extends Map<string, infer One> ? readonly One[] : never;
  readonly history: MemoryStore["historyOnDisk"];
  readonly waiting: MemoryStore["waiting"] extends Map<string, infer One> ? readonly One[] : never;
}

/** The store in memory with its disk in a file, which a write replaces at one stroke. What it does wrong others add. */
export class FileStore extends MemoryStore {
  protected readonly path: string;

  constructor(path: string) {
    super();
    this.path = path;
    this.onWrite = ({ append = [] }) => {
      if (append.some(({ time }) => Number.isNaN(time))) throw new WkfsError("STORE_FAILED", "a time is none");
    };
  }

  override async open(): Promise<void> {
    try {
      if (existsSync(this.path)) this.load(JSON.parse(readFileSync(this.path, "utf8")) as Content);
    } catch (error) {
      throw new WkfsError("STORE_FAILED", `${this.path}: ${messageOf(error)}`);
    }
    await super.open();
  }

  override async write(change: StoreChange): Promise<void> {
    await super.write(change);
    await this.save(this.text());
  }

  protected load({ leases, history, waiting }: Content): void {
    this.leasesOnDisk.clear();
    for (const lease of leases) this.leasesOnDisk.set(leaseId(lease), lease);
    this.historyOnDisk.splice(0, this.historyOnDisk.length, ...history);
    this.waiting.clear();
    for (const one of waiting) this.waiting.set(one.id, one);
  }

  protected text(): string {
    const [leases, waiting] = [[...this.leasesOnDisk.values()], [...this.waiting.values()]];
    return JSON.stringify({ leases, history: this.historyOnDisk, waiting } satisfies Content);
  }

  protected async save(text: string): Promise<void> {
    writeFileSync(`${this.path}.new`, text);
    renameSync(`${this.path}.new`, this.path);
  }
}

/** Milliseconds in which a crash finds half of it: the suite kills the process at a moment of its own, which nobody announces. */
const HALFWAY = 20;

/** Writes over what is there, so that a crash leaves a piece of it. */
class Tearing extends FileStore {
  protected override async save(text: string): Promise<void> {
    writeFileSync(this.path, text.slice(0, text.length / 2));
    await new Promise((resolve) => setTimeout(resolve, HALFWAY));
    writeFileSync(this.path, text);
  }
}

/** Writes leases at once, and the rest a moment later. */
class Halving extends FileStore {
  protected override async save(text: string): Promise<void> {
    const whole = JSON.parse(text) as Content;
    const before = existsSync(this.path) ? (JSON.parse(readFileSync(this.path, "utf8")) as Content) : undefined;
    if (before !== undefined) await super.save(JSON.stringify({ ...before, leases: whole.leases }));
    await new Promise((resolve) => setTimeout(resolve, HALFWAY));
    await super.save(text);
  }
}

/** Says that it is written, and writes when it is closed. */
class Lazy extends FileStore {
  protected override async save(): Promise<void> {}
  override async close(): Promise<void> {
    if (this.leasesOnDisk.size + this.historyOnDisk.length + this.waiting.size > 0) await super.save(this.text());
    await super.close();
  }
}

/** Does not read what waits to be told. */
class Forgetting extends FileStore {
  protected override load(content: Content): void {
    super.load({ ...content, waiting: [] });
  }
}

/** Takes what it cannot read for nothing. */
class Hopeful extends FileStore {
  override async open(): Promise<void> {
    await super.open().catch(() => MemoryStore.prototype.open.call(this));
  }
}

/** Keeps the leases of what it refused. */
class Piecemeal extends FileStore {
  override async write(change: StoreChange): Promise<void> {
    try {
      await super.write(change);
    } catch (error) {
      await super.write({ put: change.put ?? [] });
      throw error;
    }
  }
}

/** Lets writes overtake each other. */
class Hurried extends FileStore {
  #count = 0;
  override async write(change: StoreChange): Promise<void> {
    this.#count += 1;
    if (this.#count % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
    await super.write(change);
  }
}

/** Reads without being open. */
class Open extends FileStore {
  override async leases() {
    return [...this.leasesOnDisk.values()];
  }
}

export const FILE_STORES = { FileStore, Tearing, Halving, Lazy, Forgetting, Hopeful, Piecemeal, Hurried, Open };

/** For another process: `NAME:PATH`. */
export default (argument: string): FileStore => {
  const at = argument.indexOf(":");
  return new FILE_STORES[argument.slice(0, at) as keyof typeof FILE_STORES](argument.slice(at + 1));
};
