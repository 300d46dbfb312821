import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type CommandResult, NetworkNamespace } from "@wkfs/core/testing";
import { freshKeys, keyFile } from "./gateway.ts";
import { type HeldLease, type PacketFilter, iptables } from "./packet-filter.ts";

const CLI = fileURLToPath(new URL("../../cli/bin/run.js", import.meta.url));
const PROBER = fileURLToPath(new URL("prober.mjs", import.meta.url));
const MAIL_SINK = fileURLToPath(new URL("mail-sink.mjs", import.meta.url));

/** Addresses of the server, and of the client's host; the first of each family is the one it knocks from. */
export const SERVER = { ipv4: "10.91.0.1", ipv6: "fd91::1", ipv6b: "2001:db8::1" } as const;
export const CLIENT = {
  ipv4: "10.91.0.2",
  other4: "10.91.0.3",
  ipv6: "fd91::2",
  other6: "fd91::3",
  ipv6b: "2001:db8::",
} as const;

type Target = { readonly host: string; readonly port: number; readonly from?: string; readonly timeout?: number };

/** The prober on a test host. */
export class Prober {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: unknown) => void>();
  #last = 0;

  constructor(host: NetworkNamespace) {
    this.#child = host.spawn([process.execPath, PROBER], { stdio: ["pipe", "pipe", "inherit"] });
    createInterface({ input: this.#child.stdout! }).on("line", (line) => {
      const { id, answer } = JSON.parse(line) as { id: number; answer: unknown };
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
  }

  tcp(target: Target): Promise<unknown> {
    return this.#ask("tcp", target);
  }
  udp(target: Target): Promise<unknown> {
    return this.#ask("udp", target);
  }
  keep(name: string, target: Target): Promise<unknown> {
    return this.#ask("keep", { name, ...target });
  }
  still(name: string): Promise<unknown> {
    return this.#ask("still", { name });
  }
  async watch(
    target: Target & { readonly until: number; readonly every?: number },
  ): Promise<{ at: number; open: boolean }[]> {
    return (await this.#ask("watch", target)) as { at: number; open: boolean }[];
  }
  serve(ports: { tcp?: number[]; udp?: number[] }): Promise<unknown> {
    return this.#ask("serve", ports);
  }

  #ask(command: string, rest: object): Promise<unknown> {
    const id = (this.#last += 1);
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, resolve);
    this.#child.stdin!.write(`${JSON.stringify({ id, command, ...rest })}\n`);
    return promise;
  }
}

/** A process of wkfs on a test host, with its log. */
export class Role {
  readonly child: ChildProcess;
  readonly log: Record<string, unknown>[] = [];
  readonly ended: Promise<number | null>;
  #changed = Promise.withResolvers<void>();

  constructor(child: ChildProcess) {
    this.child = child;
    this.ended = once(child, "exit").then(([code]) => code as number | null);
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface({ input: stream }).on("line", (line) => {
        this.log.push(line.startsWith("{") ? (JSON.parse(line) as Record<string, unknown>) : { msg: line });
        this.#changed.resolve();
        this.#changed = Promise.withResolvers<void>();
      });
    }
    void this.ended.then(() => this.#changed.resolve());
  }

  /** Waits for a line of the log; fails when the process ends without one. */
  async says(text: string | RegExp, from = 0): Promise<Record<string, unknown>> {
    for (;;) {
      const found = this.log
        .slice(from)
        .find(({ msg }) => (typeof text === "string" ? String(msg).includes(text) : text.test(String(msg))));
      if (found !== undefined) return found;
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        throw new Error(
          `ended without saying ${String(text)}:\n${this.log.map((line) => JSON.stringify(line)).join("\n")}`,
        );
      }
      await this.#changed.promise;
    }
  }

  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    this.child.kill(signal);
    return await this.ended;
  }
}

export interface Instance {
  readonly config: string;
  readonly client: string;
}

/** A server and a client's host, joined by a cable, with services on the server and wkfs as its command line runs it. */
export class Site implements AsyncDisposable {
  readonly server: NetworkNamespace;
  readonly client: NetworkNamespace;
  readonly folder: string;
  readonly prober: Prober;
  readonly filter: PacketFilter;

  private constructor(server: NetworkNamespace, client: NetworkNamespace, folder: string, filter: PacketFilter) {
    this.server = server;
    this.client = client;
    this.folder = folder;
    this.prober = new Prober(client);
    this.filter = filter;
  }

  static async create(filter = iptables): Promise<Site> {
    const server = await NetworkNamespace.create();
    const client = await NetworkNamespace.create();
    await server.connect(
      client,
      [`${SERVER.ipv4}/24`, `${SERVER.ipv6}/64`, `${SERVER.ipv6b}/64`],
      // The last address of a family is the one that the kernel prefers as source.
      [`${CLIENT.ipv4}/24`, `${CLIENT.other4}/24`, `${CLIENT.other6}/64`, `${CLIENT.ipv6}/64`, `${CLIENT.ipv6b}/64`],
    );
    // What an activation keeps is beside this folder.
    const folder = join(await mkdtemp(join(tmpdir(), "wkfs-site-")), "wkfs");
    await mkdir(folder);
    const site = new Site(server, client, folder, filter);
    await new Prober(server).serve({ tcp: [2222, 2223], udp: [1194] });
    return site;
  }

  /** Writes the configuration of an instance: as designed, on ports and names of its own. */
  async configure({
    name = "wkfs",
    gatewayPort = 8080,
    transportPort = 33_491,
    more = {} as object,
  } = {}): Promise<Instance> {
    const file = (ending: string) => join(this.folder, `${name}${ending}`);
    await writeFile(file(".keys"), keyFile(freshKeys()), { mode: 0o600 });
    await writeFile(file(".secret"), `${randomBytes(40).toString("hex")}\n`, { mode: 0o600 });
    const config = {
      protect: { tcp: [2222], udp: [1194], maxTime: 600 },
      gateway: { listen: `[::]:${gatewayPort}`, path: "/8f3c0c5e", keys: file(".keys") },
      transport: { use: "localhost-tcp", host: "127.0.0.1", port: transportPort, secret: file(".secret") },
      firewall: this.filter.section(name),
      store: { use: "sqlite", path: file(".db") },
      ...more,
    };
    await writeFile(file(".yaml"), JSON.stringify(config));
    const client = { url: `http://${SERVER.ipv4}:${gatewayPort}/8f3c0c5e`, keys: file(".keys") };
    await writeFile(file("-client.yaml"), JSON.stringify(client));
    return { config: file(".yaml"), client: file("-client.yaml") };
  }

  async daemon(instance: Instance, flags: readonly string[] = [], env: Record<string, string> = {}): Promise<Role> {
    return await this.#role(["daemon", "--config", instance.config, ...flags], env);
  }

  async gateway(instance: Instance): Promise<Role> {
    return await this.#role(["serve", "--config", instance.config], {});
  }

  /** One knock from the client's host; over IPv6 when `host` says so. */
  async knock(
    instance: Instance,
    { host = SERVER.ipv4 as string, args = ["--tcp", "2222"], time = 60 as number | undefined } = {},
  ): Promise<CommandResult & { readonly json: Record<string, unknown> }> {
    const client = `${instance.client}.${host.replaceAll(":", "_")}`;
    const text = await readFile(instance.client, "utf8");
    await writeFile(client, text.replace(SERVER.ipv4, host.includes(":") ? `[${host}]` : host));
    const result = await this.client.exec([
      process.execPath,
      CLI,
      "client",
      "open",
      "--config",
      client,
      "--json",
      ...args,
      ...(time === undefined ? [] : ["--time", String(time)]),
    ]);
    return {
      ...result,
      json: result.stdout.startsWith("{") ? (JSON.parse(result.stdout) as Record<string, unknown>) : {},
    };
  }

  /** A mail server on the client's host, which says each mail that it takes. */
  async mailServer(port: number): Promise<Role> {
    const server = new Role(
      this.client.spawn([process.execPath, MAIL_SINK, String(port)], { stdio: ["ignore", "pipe", "pipe"] }),
    );
    await server.says("ready");
    return server;
  }

  /** Starts any command of wkfs on the client's host. */
  command(args: readonly string[]): Role {
    return new Role(this.client.spawn([process.execPath, CLI, ...args], { stdio: ["ignore", "pipe", "pipe"] }));
  }

  /** The leases of an instance as the kernel has them. */
  leases(instance = "wkfs"): Promise<HeldLease[]> {
    return this.filter.leases(this.server, instance);
  }

  async #role(args: readonly string[], env: Record<string, string>): Promise<Role> {
    const role = new Role(
      this.server.spawn([process.execPath, CLI, ...args], {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, ...env },
      }),
    );
    await role.says("ready");
    return role;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.client[Symbol.asyncDispose]();
    await rm(dirname(this.folder), { recursive: true });
  }
}
