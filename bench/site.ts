import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NetworkNamespace } from "@wkfs/core/testing";
import { SqliteStore } from "@wkfs/sqlite";
import type { Program } from "./program.ts";
import { type Hosts, SERVER, type Stage, clientAddress } from "./stage.ts";

export const CLI = fileURLToPath(new URL("../cli/bin/run.js", import.meta.url));
/** What is protected: a TCP port, and the UDP port that probes try. */
export const TCP_PORT = 2222;
export const UDP_PORT = 1194;
export const HTTP_PORT = 8080;
export const PATH = "/8f3c0c5e";
/** Longest lease in seconds: longer than any run. */
export const LONG = 86_400;

export type FirewallName = "iptables" | "nftables";
export const FIREWALLS: readonly FirewallName[] = ["iptables", "nftables"];

const SECTIONS: Readonly<Record<FirewallName, readonly object[]>> = {
  iptables: ["iptables", "ip6tables"].map((use) => ({ use, mode: "guard", parent: "INPUT", chain: "wkfs" })),
  nftables: [{ use: "nftables", mode: "guard" }],
};

/** wkfs on a host: its configuration and its two processes, as the command line runs them. */
export class Site {
  readonly server: NetworkNamespace;
  readonly client: NetworkNamespace;
  readonly name: string;
  readonly firewall: FirewallName;
  readonly config: string;
  readonly store: string;
  readonly keys: string;
  readonly clientConfig: string;
  /** The section `transport` of the configuration. */
  readonly transport: { readonly use: string; readonly host: string; readonly port: number; readonly secret: string };
  readonly #stage: Stage;

  private constructor(stage: Stage, { server, client }: Hosts, name: string, firewall: FirewallName) {
    this.firewall = firewall;
    this.#stage = stage;
    this.server = server;
    this.client = client;
    this.name = name;
    const folder = stage.path(name);
    this.config = join(folder, "wkfs.yaml");
    this.store = join(folder, "wkfs.db");
    this.keys = join(folder, "v1.json");
    this.clientConfig = join(folder, "client.yaml");
    this.transport = {
      use: "localhost-tcp",
      host: "127.0.0.1",
      port: 33_491,
      secret: join(folder, "transport.secret"),
    };
  }

  /** Writes the configuration; `name` is that of its folder and of its logs. */
  static async create(
    stage: Stage,
    hosts: Hosts,
    name: string,
    firewall: FirewallName,
    { workers = 1 } = {},
  ): Promise<Site> {
    const site = new Site(stage, hosts, name, firewall);
    await mkdir(stage.path(name), { mode: 0o700 });
    const hex = (bytes: number) => randomBytes(bytes).toString("hex");
    const keys = { key1: hex(32), iv1: hex(16), key2: hex(32), iv2: hex(16), sign: hex(20) };
    await writeFile(site.keys, JSON.stringify(keys), { mode: 0o600 });
    await writeFile(join(stage.path(name), "transport.secret"), hex(40), { mode: 0o600 });
    const config = {
      protect: { tcp: [TCP_PORT], udp: [UDP_PORT], maxTime: LONG },
      gateway: { listen: `0.0.0.0:${HTTP_PORT}`, path: PATH, keys: site.keys, workers },
      transport: site.transport,
      firewall: SECTIONS[firewall],
      store: { use: "sqlite", path: site.store },
      // The clients of a measurement are few, and knock more often than any.
      limits: { leases: 250_000, knocksPerSecond: 1_000_000 },
    };
    await writeFile(site.config, JSON.stringify(config));
    await writeFile(
      site.clientConfig,
      JSON.stringify({ url: `http://${SERVER}:${HTTP_PORT}${PATH}`, keys: site.keys }),
    );
    return site;
  }

  /** Puts leases into the store, for a daemon that takes them over when it starts: they all end at `deadline` (ms). */
  async seed(count: number, deadline: number): Promise<void> {
    const store = new SqliteStore(this.store);
    await store.open();
    try {
      const openedAt = Date.now();
      const port = { protocol: "udp", number: UDP_PORT } as const;
      const put = Array.from({ length: count }, (_, index) => {
        const address = { family: "ipv4", text: clientAddress(index), length: 32 } as const;
        return { address, port, client: "default", openedAt, deadline };
      });
      await store.write({ put });
    } finally {
      await store.close();
    }
  }

  /** When the leases that are in the store end, by their address (ms since the epoch). */
  async deadlines(): Promise<ReadonlyMap<string, number>> {
    const store = new SqliteStore(this.store);
    await store.open();
    try {
      return new Map((await store.leases()).map(({ address, deadline }) => [address.text, deadline]));
    } finally {
      await store.close();
    }
  }

  /** How many leases the kernel holds. */
  async held(): Promise<number> {
    const { server } = this;
    if (this.firewall === "iptables") {
      const about = await server.run("ipset", "list", "-t", "wkfs-v4");
      return Number(/entries: (\d+)/.exec(about)?.[1] ?? 0);
    }
    const elements = await server.run("nft", "--numeric-protocol", "list", "set", "inet", "wkfs", "wkfs_v4");
    return elements.split(" timeout ").length - 1;
  }

  /** Empties the set for IPv4, as somebody else might. */
  async empty(): Promise<void> {
    if (this.firewall === "iptables") await this.server.run("ipset", "flush", "wkfs-v4");
    else await this.server.run("nft", "flush", "set", "inet", "wkfs", "wkfs_v4");
  }

  /** Takes everything of the packet filter away, as a reboot does. */
  async forget(): Promise<void> {
    const { server } = this;
    if (this.firewall === "nftables") await server.run("nft", "flush", "ruleset");
    else {
      for (const iptables of ["iptables", "ip6tables"]) {
        await server.run(iptables, "-F");
        await server.run(iptables, "-X");
      }
      await server.run("ipset", "destroy");
    }
  }

  /** Resolves when the daemon is ready. */
  async daemon(...flags: string[]): Promise<Program> {
    return await this.#role("daemon", flags);
  }

  async gateway(): Promise<Program> {
    return await this.#role("serve", []);
  }

  async #role(role: string, flags: readonly string[]): Promise<Program> {
    const log = `${this.name}-${role}.log`;
    const program = await this.#stage.start([process.execPath, CLI, role, "--config", this.config, ...flags], {
      host: this.server,
      log,
    });
    await program.says('"msg":"ready"');
    return program;
  }
}
