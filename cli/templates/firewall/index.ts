import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { API_VERSION, type Firewall, type FirewallChange, type KernelLease, WkfsError } from "@wkfs/core";
import { definePlugin, isPortNumber, leaseId, messageOf, parseAddress } from "@wkfs/core";
import { z } from "zod";

class ListFile implements Firewall {
  readonly capabilities = {
    families: ["ipv4", "ipv6"],
    expiry: "core",
    maxTimeout: 2_147_483,
    resolution: 1,
    prefixes: false,
  } as const;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async attach() {
    if ((await this.#read()) === undefined) await this.#write([]);
  }

  async apply({ open, close }: FirewallChange) {
    const ids = new Set((await this.#read())?.map(leaseId));
    for (const key of close) ids.delete(leaseId(key));
    for (const lease of open) {
      if (!isPortNumber(lease.port.number)) throw failed(`${leaseId(lease)} is no port`);
      ids.add(leaseId(lease));
    }
    await this.#write([...ids]);
  }

  async check() {
    const leases = await this.#read();
    return { missing: leases === undefined ? [`the file ${this.#path} is gone`] : [], count: leases?.length };
  }

  async list() {
    const { missing } = await this.check();
    return { missing, leases: (await this.#read()) ?? [] };
  }

  async release() {}

  async detach() {
    await rm(this.#path, { force: true });
  }

  async #read(): Promise<KernelLease[] | undefined> {
    const text = await readFile(this.#path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw failed(messageOf(error));
    });
    return text?.split("\n").flatMap((line) => {
      const [, address, protocol, port] = /^(\S+) (tcp|udp)\/(\d+)$/.exec(line) ?? [];
      if (address === undefined || (protocol !== "tcp" && protocol !== "udp")) return [];
      return [{ address: parseAddress(address), port: { protocol, number: Number(port) } }];
    });
  }

  /** A rename is all or nothing. */
  async #write(lines: readonly string[]) {
    try {
      await writeFile(`${this.#path}.new`, lines.map((line) => `${line}\n`).join(""));
      await rename(`${this.#path}.new`, this.#path);
    } catch (error) {
      throw failed(messageOf(error));
    }
  }
}

function failed(what: string): WkfsError {
  return new WkfsError("FIREWALL_FAILED", `the list of leases: ${what}`, { hint: "See who may write its folder." });
}

export default definePlugin({
  name: "example",
  apiVersion: API_VERSION,
  kind: "firewall",
  configSchema: z.strictObject({ path: z.string().startsWith("/") }),
  create: ({ path }) => new ListFile(path),
});
