import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const RUN = join(import.meta.dirname, "..", "bin", "run.js");
const RECORD = join(import.meta.dirname, "record-modules.js");

/** How this machine reaches the registry of npm, for what installs a plugin. */
const REGISTRY =
  /^(node_extra_ca_certs|(https?|no)_?proxy|npm_config_(registry|cafile|userconfig|globalconfig|cache|(https_)?proxy|noproxy))$/i;
const registry = Object.fromEntries(Object.entries(process.env).filter(([name]) => REGISTRY.test(name)));

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
  readonly #children = new Set<ChildProcess>();

  private constructor(dir: string) {
    this.dir = dir;
  }

  static async create(): Promise<Sandbox> {
    return new Sandbox(await mkdtemp(join(tmpdir(), "wkfs-cli-")));
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
      cwd: this.dir,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...registry,
        PATH: process.env["PATH"],
        HOME: this.dir,
        WKFS_DATA_DIR: this.path("data"),
        NODE_DISABLE_COMPILE_CACHE: "1",
        WKFS_TEST_MODULES: list,
      },
    });
    this.#children.add(child);
    alive.add(child);
    child.once("exit", () => alive.delete(child));
    return new Running(child, list);
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
