import { type ChildProcess, type SpawnOptions, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { WkfsError } from "../src/model/errors.ts";

/** How a program ended, and what it wrote. */
export interface CommandResult {
  /** Its exit code. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a host is made: `user` is for those who are not root, a user namespace of its own or the one of another host. */
export interface NetworkNamespaceOptions {
  readonly user?: "own" | NetworkNamespace;
}

/**
 * A network namespace of one's own: a host with its own interfaces, packet filter and sets.
 *
 * It is held by a child process that reads from a pipe of this process, so it is gone when this
 * process is gone, however that ended. Needs root; or, with `user`, a kernel that lets everybody make
 * user namespaces.
 */
export class NetworkNamespace implements AsyncDisposable {
  readonly pid: number;
  /** The argv to put before a command so that it runs inside. */
  readonly prefix: readonly string[];
  readonly #user: readonly string[];
  readonly #holder: ChildProcess;
  readonly #children = new Set<ChildProcess>();

  private constructor(holder: ChildProcess, pid: number, user: readonly string[] | undefined) {
    this.#holder = holder;
    this.pid = pid;
    this.#user = user ?? [`--user=/proc/${pid}/ns/user`, "--preserve-credentials"];
    this.prefix = ["nsenter", ...this.#user, `--net=/proc/${pid}/ns/net`, "--"];
  }

  /**
   * `user: "own"` makes it in a user namespace of its own, whose root is the user that we are; `user` with
   * another host makes it in that one's, which it must not outlive, so that the two can be joined.
   */
  static async create({ user }: NetworkNamespaceOptions = {}): Promise<NetworkNamespace> {
    const entered = user === "own" ? undefined : user === undefined ? [] : user.#user;
    const enter = entered === undefined || entered.length === 0 ? [] : ["nsenter", ...entered, "--"];
    const userFlags = user === "own" ? ["--user", "--map-root-user"] : [];
    // `cat` says one line when it runs, which is after unshare has done its work.
    const argv = [...enter, "unshare", ...userFlags, "--net", "sh", "-c", "echo up; exec cat"];
    // A session of its own: Ctrl-C is ours to answer, and does not take the ground from under what we run.
    const holder = spawn(argv[0]!, argv.slice(1), { stdio: ["pipe", "pipe", "pipe"], detached: true });
    const failed = once(holder, "close").then(() => {
      throw new WkfsError("HOST_UNSUPPORTED", "cannot make a network namespace", {
        hint: "Run as root, or under `unshare --user --map-root-user`.",
      });
    });
    await Promise.race([
      once(holder.stdout!, "data"),
      failed,
      once(holder, "error").then(([error]) => Promise.reject(error)),
    ]);
    failed.catch(() => {});
    holder.unref();
    for (const stream of [holder.stdin, holder.stdout, holder.stderr])
      (stream as unknown as { unref?(): void } | null)?.unref?.();
    const namespace = new NetworkNamespace(holder, holder.pid!, entered);
    await namespace.run("ip", "link", "set", "lo", "up");
    return namespace;
  }

  /** Runs a command inside and waits for its end, whatever its exit code. */
  exec(argv: readonly string[], input = ""): Promise<CommandResult> {
    return execute([...this.prefix, ...argv], input);
  }

  /** Runs a command inside and gives its output; a failure of the command is an error. */
  async run(...argv: string[]): Promise<string> {
    const result = await this.exec(argv);
    if (result.code !== 0)
      throw new Error(`${argv.join(" ")} ended with ${result.code}: ${result.stderr || result.stdout}`);
    return result.stdout;
  }

  /** Starts a program inside; it is killed with the namespace, or with this process, when it still runs. */
  spawn(argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...this.prefix, ...argv], options);
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    return child;
  }

  /**
   * Joins this host and another by a cable. Addresses are given with their length, such as
   * `10.0.0.1/24` and `fd00::1/64`; they are usable when this resolves.
   */
  async connect(
    other: NetworkNamespace,
    here: readonly string[],
    there: readonly string[],
    name = "wire0",
  ): Promise<void> {
    await this.run("ip", "link", "add", name, "type", "veth", "peer", "name", name, "netns", String(other.pid));
    for (const [host, addresses] of [
      [this, here],
      [other, there],
    ] as const) {
      for (const address of addresses) {
        // nodad: an IPv6 address is usable at once, without a second of duplicate address detection.
        const flags = address.includes(":") ? ["nodad"] : [];
        await host.run("ip", "address", "add", address, "dev", name, ...flags);
      }
      await host.run("ip", "link", "set", name, "up");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const children = [...this.#children];
    await Promise.all(
      children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const gone = once(child, "exit");
        child.kill("SIGKILL");
        await gone;
      }),
    );
    if (this.#holder.exitCode !== null || this.#holder.signalCode !== null) return;
    const gone = once(this.#holder, "exit");
    this.#holder.ref();
    this.#holder.kill("SIGKILL");
    await gone;
  }
}

/** Runs a program to its end; never a shell. A program that cannot be started has code 127. */
export function execute(argv: readonly string[], input = ""): Promise<CommandResult> {
  return new Promise((resolve) => {
    const [file, ...args] = argv;
    const child = execFile(file!, args, { maxBuffer: 256 * 1024 * 1024 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 127;
      resolve({ code, stdout, stderr: stderr || (code === 127 ? String(error?.message) : "") });
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}

/**
 * Why tests on a real kernel cannot run here, or undefined when they can. With WKFS_REQUIRE_KERNEL=1
 * a reason is an error instead: nothing is skipped where everything must run.
 */
export function whyNoKernel(...programs: string[]): string | undefined {
  const reason = firstLack(["unshare", "nsenter", "ip", ...programs]);
  if (reason !== undefined && process.env["WKFS_REQUIRE_KERNEL"] === "1") {
    throw new WkfsError("HOST_UNSUPPORTED", `WKFS_REQUIRE_KERNEL=1, but ${reason}`, {
      hint: "Install it, or run as root.",
    });
  }
  return reason;
}

function firstLack(programs: readonly string[]): string | undefined {
  for (const program of programs) {
    if (spawnSync(program, ["--version"], { stdio: "ignore" }).error !== undefined)
      return `${program} is not installed`;
  }
  const probe = spawnSync("unshare", ["--net", "true"], { stdio: "ignore" });
  return probe.status === 0 ? undefined : "this process may not make network namespaces (not root)";
}
