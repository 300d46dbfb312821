import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Program } from "./program.ts";

const WKFS = join(import.meta.dirname, "..", "..", "bin", "run.js");
const MODULES = {
  service: import.meta.resolve("./service.js"),
  visitor: import.meta.resolve("./visitor.js"),
} as const;
/** Milliseconds that a program has to end by itself before it is killed. */
const PATIENCE = 2000;

/**
 * All that the demonstration makes: a private folder, programs, hosts. All of it is gone when this is disposed of, and
 * no program outlives this process, however it ends. When the signal aborts the programs end at once, so that
 * whoever waits for one goes on; nothing new is started then.
 */
export class Stage implements AsyncDisposable {
  readonly dir: string;
  readonly signal: AbortSignal;
  /** Put before a program's argv so that it dies with us; empty where setpriv(1) is missing. */
  readonly #leash: readonly string[];
  readonly #environment: NodeJS.ProcessEnv;
  readonly #children = new Set<ChildProcess>();
  /** A second signal would end a daemon before it has ended what it started. */
  readonly #told = new WeakSet<ChildProcess>();
  readonly #hosts: AsyncDisposable[] = [];
  readonly #onAbort = () => this.#terminate();

  private constructor(dir: string, signal: AbortSignal, leash: boolean) {
    this.dir = dir;
    this.signal = signal;
    this.#leash = leash ? ["setpriv", "--pdeathsig", "KILL", "--"] : [];
    this.#environment = {
      PATH: process.env["PATH"],
      HOME: dir,
      WKFS_DATA_DIR: join(dir, "data"),
      // A cache of compiled code would be left behind.
      NODE_DISABLE_COMPILE_CACHE: "1",
    };
    signal.addEventListener("abort", this.#onAbort);
  }

  static async set(signal: AbortSignal, leash: boolean): Promise<Stage> {
    signal.throwIfAborted();
    return new Stage(await mkdtemp(join(tmpdir(), "wkfs-demo-")), signal, leash);
  }

  /** Takes over the duty to dispose of something; the last one goes first. */
  async own<Host extends AsyncDisposable>(host: Host): Promise<Host> {
    this.#hosts.push(host);
    this.signal.throwIfAborted();
    return host;
  }

  /** Starts `wkfs` with these arguments. `prefix` is the argv that puts it on another host. */
  wkfs(args: readonly string[], prefix: readonly string[] = []): Program {
    return this.#start(`wkfs ${args[0]}`, [WKFS, ...args], prefix);
  }

  /** Starts the service, or a visitor of it, as a program of its own. */
  module(name: keyof typeof MODULES, args: readonly string[], prefix: readonly string[]): Program {
    return this.#start(`the ${name}`, [fileURLToPath(MODULES[name]), ...args], prefix);
  }

  #start(name: string, args: readonly string[], prefix: readonly string[]): Program {
    this.signal.throwIfAborted();
    const [file, ...rest] = [...prefix, ...this.#leash, process.execPath, ...args];
    const child = spawn(file!, rest, {
      cwd: this.dir,
      env: this.#environment,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      // A process group of its own: Ctrl-C is ours to answer, and what it starts can be ended with it.
      detached: true,
    });
    this.#children.add(child);
    child.once("close", () => this.#children.delete(child));
    return new Program(name, child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#terminate();
    const deadline = delay(PATIENCE, undefined, { ref: false });
    await Promise.all([...this.#children].map((child) => ended(child, deadline)));
    this.signal.removeEventListener("abort", this.#onAbort);
    for (const host of this.#hosts.toReversed()) await host[Symbol.asyncDispose]();
    await rm(this.dir, { recursive: true, force: true, maxRetries: 3 });
  }

  #terminate(): void {
    for (const child of this.#children) {
      if (!this.#told.has(child)) child.kill("SIGTERM");
      this.#told.add(child);
    }
  }
}

async function ended(child: ChildProcess, deadline: Promise<void>): Promise<void> {
  const gone = once(child, "close").catch(() => {});
  await Promise.race([gone, deadline]);
  try {
    // The whole group: also what the program had started and not ended.
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // ESRCH: there is nobody left.
  }
  await gone;
}
