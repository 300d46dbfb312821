import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { NetworkNamespace } from "@wkfs/core/testing";
import { Terminal } from "./terminal.ts";

/** The program `wkfs`. */
export const RUN = join(import.meta.dirname, "..", "bin", "run.js");
const RECORD = join(import.meta.dirname, "record-modules.js");

/** Nobody answers there: a test that installs something brings its own registry. */
const NO_REGISTRY = "http://127.0.0.1:1/";

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What still runs, for a test that ends without its `await using`. */
const alive = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});

/** A host of its own for the command: folders that end with the test, and nothing of the caller's environment. */
export class Sandbox implements AsyncDisposable {
  readonly dir: string;
  /** Where commands run. */
  cwd: string;
  /** Added to the environment of commands. */
  readonly env: Record<string, string> = {};
  #registry = NO_REGISTRY;
  readonly #children = new Set<ChildProcess>();

  private constructor(dir: string) {
    this.dir = dir;
    this.cwd = dir;
  }

  static async create(): Promise<Sandbox> {
    return new Sandbox(await mkdtemp(join(tmpdir(), "wkfs-cli-")));
  }

  /** Where npm looks from now on. */
  useRegistry(url: string): void {
    this.#registry = url;
  }

  path(...parts: string[]): string {
    return join(this.dir, ...parts);
  }

  /** Runs `wkfs` to its end. */
  async wkfs(...args: string[]): Promise<Outcome> {
    return await this.start(args).ended;
  }

  /** Runs `wkfs` to its end and gives what it loaded besides. */
  async recorded(...args: string[]): Promise<Outcome & { readonly modules: string }> {
    const running = this.start(args, true);
    return { ...(await running.ended), modules: await running.modules() };
  }

  start(args: readonly string[], record = false): Running {
    const list = this.path(`modules-${this.#children.size}`);
    const child = spawn(process.execPath, [...(record ? ["--import", RECORD] : []), RUN, ...args], {
      cwd: this.cwd,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...this.#environment, WKFS_TEST_MODULES: list },
    });
    this.#children.add(child);
    alive.add(child);
    child.once("exit", () => alive.delete(child));
    return new Running(child, list);
  }

  /**
   * Runs lines as somebody types them into a shell, `wkfs` among them, and stops at the first that fails. Throws then, with
   * what it said.
   */
  async shell(lines: string): Promise<string> {
    const bin = this.path(".bin");
    await mkdir(bin, { recursive: true });
    await writeFile(join(bin, "wkfs"), `#!/bin/sh\nexec "${process.execPath}" "${RUN}" "$@"\n`, { mode: 0o755 });
    const env = { ...this.#environment, PATH: `${bin}:${dirname(process.execPath)}:${process.env["PATH"]}` };
    const { stdout } = await promisify(execFile)("/bin/sh", ["-exc", lines], {
      cwd: this.cwd,
      env,
      maxBuffer: 1 << 26,
    });
    return stdout;
  }

  /** Runs `wkfs` to its end on another host, with the same folders. */
  async wkfsOn(host: NetworkNamespace, ...args: string[]): Promise<Outcome> {
    return await this.startOn(host, ...args).ended;
  }

  /** It ends with that host. */
  startOn(host: NetworkNamespace, ...args: string[]): Running {
    const child = host.spawn([process.execPath, RUN, ...args], {
      cwd: this.cwd,
      stdio: ["ignore", "pipe", "pipe"],
      env: this.#environment,
    });
    return new Running(child, "");
  }

  /** A `wkfs` at a terminal, on this or another host. */
  terminal(args: readonly string[], host?: NetworkNamespace): Terminal {
    const prefix = host?.prefix ?? [];
    return Terminal.start([process.execPath, RUN, ...args], { prefix, cwd: this.cwd, env: this.#environment });
  }

  get #environment(): NodeJS.ProcessEnv {
    return {
      npm_config_registry: this.#registry,
      npm_config_fetch_retries: "0",
      PATH: process.env["PATH"],
      HOME: this.dir,
      WKFS_DATA_DIR: this.path("data"),
      NODE_DISABLE_COMPILE_CACHE: "1",
      ...this.env,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    }
    await rm(this.dir, { recursive: true });
  }
}

/** A `wkfs` that may go on. */
export class Running {
  readonly ended: Promise<Outcome>;
  readonly #child: ChildProcess;
  readonly #list: string;
  readonly #text = { stdout: "", stderr: "" };

  constructor(child: ChildProcess, list: string) {
    this.#child = child;
    this.#list = list;
    for (const name of ["stdout", "stderr"] as const) {
      child[name]!.setEncoding("utf8").on("data", (text: string) => (this.#text[name] += text));
    }
    this.ended = once(child, "close").then(([code]) => ({ code: code as number | null, ...this.#text }));
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves when this stands in the output; rejects when the process ends without it. */
  async says(stream: "stdout" | "stderr", pattern: RegExp): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = () => pattern.test(this.#text[stream]) && resolve();
    this.#child[stream]!.on("data", look);
    look();
    void this.ended.then(({ code, stderr }) => reject(new Error(`ended with ${code}: ${stderr}`)));
    await promise;
  }

  /** URLs of the modules that were loaded; after one of our bundle, the paths of those that are in it, such as `node_modules/zod/index.js`. */
  async modules(): Promise<string> {
    const urls = (await readFile(this.#list, "utf8")).split("\n");
    const lines = urls.map(async (url) => [
      url,
      ...(url.includes("/cli/bundle/") ? await bundledIn(new URL(url)) : []),
    ]);
    return (await Promise.all(lines)).flat().join("\n");
  }
}

/** The bundler writes the path of a module above it. */
async function bundledIn(file: URL): Promise<string[]> {
  return Array.from((await readFile(file, "utf8")).matchAll(/^\/\/ (\S+\.c?js)$/gm), ([, path]) => path!);
}

/** A port that nobody has now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
