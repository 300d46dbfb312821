import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NetworkNamespace } from "@wkfs/core/testing";
import type { Program } from "./program.ts";
import { type Hosts, SERVER, type Stage } from "./stage.ts";

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

/** Whether a firewall plugin is there to be measured. */
export function hasFirewall(name: FirewallName): boolean {
  try {
    import.meta.resolve(`@wkfs/${name}`);
    return true;
  } catch {
    return false;
  }
}

/** wkfs on a host: its configuration and its two processes, as the command line runs them. */
export class Site {
  readonly server: NetworkNamespace;
  readonly client: NetworkNamespace;
  readonly name: string;
  readonly config: string;
  readonly store: string;
  readonly keys: string;
  readonly clientConfig: string;
  /** The section `transport` of the configuration. */
  readonly transport: Readonly<Record<string, unknown>> & { readonly use: string };
  readonly #stage: Stage;

  private constructor(stage: Stage, { server, client }: Hosts, name: string) {
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
  static async create(stage: Stage, hosts: Hosts, name: string, firewall: FirewallName): Promise<Site> {
    const site = new Site(stage, hosts, name);
    await mkdir(stage.path(name), { mode: 0o700 });
    const hex = (bytes: number) => randomBytes(bytes).toString("hex");
    const keys = { key1: hex(32), iv1: hex(16), key2: hex(32), iv2: hex(16), sign: hex(20) };
    await writeFile(site.keys, JSON.stringify(keys), { mode: 0o600 });
    await writeFile(join(stage.path(name), "transport.secret"), hex(40), { mode: 0o600 });
    const config = {
      protect: { tcp: [TCP_PORT], udp: [UDP_PORT], maxTime: LONG },
      gateway: { listen: `0.0.0.0:${HTTP_PORT}`, path: PATH, keys: site.keys },
      transport: site.transport,
      firewall: SECTIONS[firewall],
      store: { use: "sqlite", path: site.store },
    };
    await writeFile(site.config, JSON.stringify(config));
    await writeFile(
      site.clientConfig,
      JSON.stringify({ url: `http://${SERVER}:${HTTP_PORT}${PATH}`, keys: site.keys }),
    );
    return site;
  }

  /** Resolves when the daemon is ready. */
  async daemon(): Promise<Program> {
    return await this.#role("daemon");
  }

  async gateway(): Promise<Program> {
    return await this.#role("serve");
  }

  async #role(role: string): Promise<Program> {
    const log = `${this.name}-${role}.log`;
    const program = await this.#stage.start([process.execPath, CLI, role, "--config", this.config], {
      host: this.server,
      log,
    });
    await program.says('"msg":"ready"');
    return program;
  }
}
