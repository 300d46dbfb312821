import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { WkfsError } from "@wkfs/core";
import { onKernel } from "@wkfs/core/testing";
import { describe, it } from "vitest";
import type { PacketFilter } from "./packet-filter.ts";
import { type Instance, Site } from "./site.ts";
import { NODE, SystemdHost, WKFS, whyNoSystemd } from "./systemd-host.ts";

export const UNIX = { use: "unix-socket", path: "/run/wkfs/daemon.sock", group: "wkfs-gateway" };
export const TCP = { use: "localhost-tcp", secret: "transport.secret" };

/** What a test may have otherwise. */
export interface Serving {
  /** More lines of the daemon's unit, with `\n` between them. */
  readonly dropIn?: string;
  /** Whether both halves run at once; else they are only enabled. */
  readonly start?: boolean;
  /** More of the configuration. */
  readonly config?: object;
  /** Rules that the host has before anything else, as commands. */
  readonly rules?: readonly (readonly string[])[];
}

/** A server whose services the real systemd runs, as `wkfs service install` wrote them. */
export class Served implements AsyncDisposable {
  readonly site: Site;
  readonly instance: Instance;
  readonly #rules: NonNullable<Serving["rules"]>;
  #host: SystemdHost;
  #config: Record<string, unknown>;

  private constructor(
    site: Site,
    host: SystemdHost,
    instance: Instance,
    rules: NonNullable<Serving["rules"]>,
    config: Record<string, unknown>,
  ) {
    this.site = site;
    this.#host = host;
    this.instance = instance;
    this.#rules = rules;
    this.#config = config;
  }

  static async start(
    filter: PacketFilter,
    transport: object,
    { dropIn = "", start = true, config = {}, rules = [] }: Serving = {},
  ): Promise<Served> {
    const site = await Site.create(filter);
    for (const rule of rules) await site.server.run(...rule);
    const instance = await site.configure();
    const host = await SystemdHost.boot(site.server, site.folder);
    const served = new Served(site, host, instance, rules, {
      ...(JSON.parse(await readFile(instance.config, "utf8")) as object),
      gateway: { listen: "[::]:8080", path: "/8f3c0c5e", keys: "v1.json" },
      transport,
      store: { use: "sqlite", path: "/var/lib/wkfs/wkfs.db" },
      control: { path: "/run/wkfs/control.sock" },
      ...config,
    });
    try {
      await host.run("mkdir", "/etc/wkfs");
      for (const [from, to] of [
        ["wkfs.keys", "v1.json"],
        ["wkfs.secret", "transport.secret"],
      ])
        await host.run("install", "-m", "0600", `/mnt/${from}`, `/etc/wkfs/${to}`);
      await served.configure({});
      await served.#install(dropIn, start);
    } catch (error) {
      await served[Symbol.asyncDispose]();
      throw error;
    }
    return served;
  }

  get host(): SystemdHost {
    return this.#host;
  }

  /** Changes the configuration; nobody is told. */
  async configure(change: object): Promise<void> {
    this.#config = { ...this.#config, ...change };
    await this.put("wkfs.yaml", JSON.stringify(this.#config));
  }

  /** Puts text into a file of the server, without changing whose it is. */
  async put(name: string, text: string): Promise<void> {
    await writeFile(join(this.site.folder, "new"), text);
    await this.host.run("sh", "-c", `cat /mnt/new > /etc/wkfs/${name}`);
  }

  /** The power goes and comes back: the disk is kept, the kernel's state is not, and the host's own rules are loaded again. */
  async reboot(): Promise<void> {
    await this.#host[Symbol.asyncDispose]();
    const { server, folder } = this.site;
    await server.run("nft", "flush", "ruleset");
    await server.run("ipset", "destroy");
    for (const rule of this.#rules) await server.run(...rule);
    this.#host = await SystemdHost.boot(server, folder);
  }

  async #install(dropIn: string, start: boolean): Promise<void> {
    const { stdout, stderr, code } = await this.host.wkfs(
      "service",
      "install",
      "--json",
      "--command",
      `${NODE} ${WKFS}`,
    );
    if (code !== 0 || stderr !== "") throw new Error(`wkfs service install ended with ${code}: ${stderr}`);
    const { written } = JSON.parse(stdout) as { written: string[] };
    await this.host.run("systemd-analyze", "verify", ...written.filter((path) => path.includes("/systemd/")));
    const log = "StandardOutput=append:/mnt/log\\nStandardError=append:/mnt/log\\n";
    // The last is what every unit of `wkfs activate` begins with.
    for (const unit of ["wkfs-daemon", "wkfs-gateway", "wkfs-rescue-"]) {
      const folder = `/etc/systemd/system/${unit}.service.d`;
      const words = `${log}${unit === "wkfs-daemon" ? dropIn : ""}`;
      await this.host.run("sh", "-c", `mkdir ${folder} && printf '[Service]\\n${words}' > ${folder}/test.conf`);
    }
    await this.host.run("systemctl", "daemon-reload");
    await this.host.run("systemctl", "enable", ...(start ? ["--now"] : []), "wkfs-daemon", "wkfs-gateway");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host[Symbol.asyncDispose]();
    await this.site[Symbol.asyncDispose]();
  }
}

const { describe: onHost } = onKernel(
  { describe, it },
  "nft",
  "iptables",
  "ipset",
  "systemctl",
  "systemd-notify",
  "systemd-sysusers",
);
const lack = whyNoSystemd();
if (lack !== undefined && process.env["WKFS_REQUIRE_KERNEL"] === "1")
  throw new WkfsError("HOST_UNSUPPORTED", `WKFS_REQUIRE_KERNEL=1, but ${lack}`);
const suite = lack === undefined ? onHost : describe.skip;

/** A suite where there can be such a server; else all of it is skipped, with the reason in its title, or an error where tests are mandatory. */
export const systemdSuite: typeof onHost = (name, body) =>
  suite(`${name}, under the real systemd${lack === undefined ? "" : ` (skipped: ${lack})`}:`, body);
