import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { mkdtemp, open, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NetworkNamespace } from "@wkfs/core/testing";
import { Program } from "./program.ts";

/** Address of a server, and the one that its client's host has by itself. */
export const SERVER = "10.91.0.1";
const CLIENT = "10.91.0.2";
/** All of these are addresses of the client's host too, so that there are clients enough. */
const CROWD = "10.128.0.0/9";

const TMPFS = 0x0102_1994;

/** A server and a client's host, joined by a cable. */
export interface Hosts {
  readonly server: NetworkNamespace;
  readonly client: NetworkNamespace;
}

/** The n-th client's address. */
export function clientAddress(index: number): string {
  return `10.${128 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
}

/**
 * All that a run makes: a folder on the disk, hosts, programs. It is gone when this is disposed of, whatever happened,
 * and nothing new is made from then on. Programs die with this process also when it is killed.
 */
export class Stage implements AsyncDisposable {
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly #owned: AsyncDisposable[] = [];

  private constructor(folder: string, signal: AbortSignal) {
    this.folder = folder;
    this.signal = signal;
  }

  static async set(signal: AbortSignal): Promise<Stage> {
    return new Stage(await mkdtemp(join(await diskFolder(), "wkfs-bench-")), signal);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  async host(): Promise<NetworkNamespace> {
    return await this.#own(await NetworkNamespace.create());
  }

  async hosts(): Promise<Hosts> {
    const [server, client] = [await this.host(), await this.host()];
    await server.connect(client, [`${SERVER}/24`], [`${CLIENT}/24`]);
    await client.run("ip", "route", "add", "local", CROWD, "dev", "lo");
    await server.run("ip", "route", "add", CROWD, "via", CLIENT);
    return { server, client };
  }

  /** Starts a program, on a host or on this one, with its log in a file as a service's is. */
  async start(
    argv: readonly string[],
    { host, log }: { host?: NetworkNamespace; log?: string } = {},
  ): Promise<Program> {
    this.signal.throwIfAborted();
    const file = log === undefined ? undefined : await open(this.path(log), "w");
    try {
      const output = file?.fd ?? ("inherit" as const);
      const options = {
        stdio: ["ignore", file === undefined ? "ignore" : output, output, "ipc"] as ("ignore" | "ipc" | number)[],
        // A process group of its own: Ctrl-C is ours to answer.
        detached: true,
        env: { ...process.env, WKFS_DATA_DIR: this.path("data"), HOME: this.folder },
      };
      const child: ChildProcess =
        host === undefined
          ? spawn("setpriv", ["--pdeathsig", "KILL", "--", ...argv], options)
          : host.spawn(argv, options);
      return await this.#own(new Program(child, argv, log === undefined ? undefined : this.path(log)));
    } finally {
      await file?.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const owned of this.#owned.splice(0).toReversed()) await owned[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  async #own<Owned extends AsyncDisposable>(owned: Owned): Promise<Owned> {
    this.#owned.push(owned);
    if (this.signal.aborted) await owned[Symbol.asyncDispose]();
    this.signal.throwIfAborted();
    return owned;
  }
}

/** A store in memory would be durable for nothing. */
async function diskFolder(): Promise<string> {
  const folder = tmpdir();
  return (await statfs(folder)).type === TMPFS ? "/var/tmp" : folder;
}
