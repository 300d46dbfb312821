// What the examples have in common: a transport within one process, and a key file.
// In earnest daemon and gateway are two processes, for the one that strangers reach must not be the one that writes the packet filter.
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GrantHandler, type Transport, WkfsError } from "@wkfs/core";

/** The same object is handed to daemon and gateway. */
export class OneProcess implements Transport {
  readonly addresses = ["this process"];
  #handler: GrantHandler | undefined;

  async listen(handler: GrantHandler): Promise<void> {
    this.#handler = handler;
  }

  async call(...[request]: Parameters<Transport["call"]>): Promise<string> {
    if (this.#handler === undefined) throw new WkfsError("TRANSPORT_UNREACHABLE", "no daemon runs in this process");
    return await this.#handler(request);
  }

  async close(): Promise<void> {
    this.#handler = undefined;
  }
}

/** A folder with fresh keys in `v1.json`, which gateway and client share. It is gone when it goes out of scope. */
export async function freshKeys(): Promise<AsyncDisposable & { readonly folder: string; readonly keys: string }> {
  const folder = await mkdtemp(join(tmpdir(), "wkfs-example-"));
  const bytes = { key1: 32, iv1: 16, key2: 32, iv2: 16, sign: 20 };
  const values = Object.entries(bytes).map(([name, size]) => [name, randomBytes(size).toString("hex")]);
  const keys = join(folder, "v1.json");
  await writeFile(keys, JSON.stringify(Object.fromEntries(values)), { mode: 0o600 });
  return { folder, keys, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}
