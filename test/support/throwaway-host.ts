import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type CommandResult, NetworkNamespace } from "@wkfs/core/testing";

/** Where the clone is on such a host. */
export const CLONE = "/opt/wkfs";
const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** What the host's own files hide from the one that stands on them: what runs there, and whoever is at home. */
const HIDDEN = ["run", "tmp", "root", "home", "var/tmp"];
/** What may be there of another wkfs. It is removed, not hidden, for `wkfs uninstall` removes such folders too. */
const REMOVED = ["etc/wkfs", "var/lib/wkfs", "var/cache/wkfs"];

/**
 * The whole file system of this host over again, to be written to and thrown away: what is written goes to memory. A process
 * table of its own, so that all of it ends together. `cat` says one line when it stands, and ends with the test.
 */
const SETUP = `set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=0755 wkfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay wkfs -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mount -t proc proc proc
mount --rbind /dev dev
mount -t sysfs sysfs sys
for hidden in ${HIDDEN.join(" ")}; do mkdir -p "$hidden"; mount -t tmpfs -o mode=0755 wkfs "$hidden"; done
chmod 0700 root
chmod 1777 tmp var/tmp
rm -rf ${REMOVED.join(" ")}
mkdir -p opt/wkfs run/sshd run/lock
mount --rbind "$1" opt/wkfs
mount -o remount,bind,ro opt/wkfs
mkdir former
pivot_root . former
cd /
umount -l former
rmdir former
echo up
exec cat
`;

/** A host of its own to follow a page on: files, processes and network are thrown away with it. Needs root. */
export class ThrowawayHost implements AsyncDisposable {
  readonly network: NetworkNamespace;
  readonly #holder: ChildProcess;
  readonly #enter: readonly string[];

  private constructor(network: NetworkNamespace, holder: ChildProcess) {
    this.network = network;
    this.#holder = holder;
    // The shell that holds the namespaces is the child of unshare.
    const inside = readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, "utf8").trim();
    this.#enter = ["nsenter", `--mount=/proc/${inside}/ns/mnt`, `--pid=/proc/${inside}/ns/pid`, "--"];
  }

  static async create(): Promise<ThrowawayHost> {
    const network = await NetworkNamespace.create();
    const holder = network.spawn(
      ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", SETUP, "sh", root],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    await Promise.race([
      once(holder.stdout!, "data"),
      once(holder, "exit").then(() => Promise.reject(new Error("cannot make a host to throw away"))),
    ]);
    const host = new ThrowawayHost(network, holder);
    // The Node that runs this; and nothing of the caller's own PATH.
    const node = realpathSync(process.execPath);
    await host.run(`ln -sf ${node.startsWith(root) ? CLONE + node.slice(root.length) : node} /usr/local/bin/node`);
    return host;
  }

  /** Runs lines of a shell as root, and stops at the first that fails. `network`: on another host's network, with these files. */
  async exec(lines: string, network = this.network): Promise<CommandResult> {
    const child = this.start(lines, network);
    const said = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream]!.setEncoding("utf8").on("data", (text: string) => (said[stream] += text));
    }
    // Not its `close`: what goes on in the background holds the pipes.
    const [code] = (await once(child, "exit")) as [number | null];
    return { code: code ?? 128, ...said };
  }

  async run(lines: string): Promise<string> {
    const { code, stdout, stderr } = await this.exec(lines);
    if (code !== 0) throw new Error(`ended with ${code}: ${lines}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Starts what goes on; it ends with the host. */
  start(lines: string, network = this.network): ChildProcess {
    return network.spawn([...this.#enter, ...SHELL, lines], { stdio: ["ignore", "pipe", "pipe"] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#holder.exitCode === null && this.#holder.signalCode === null) {
      const gone = once(this.#holder, "exit");
      // The first process of the table ends at the end of its input, and all others with it.
      this.#holder.stdin!.end();
      await gone;
    }
    await this.network[Symbol.asyncDispose]();
  }
}

/** As somebody has it who logged in as root. */
const SHELL = [
  "env",
  "-i",
  "HOME=/root",
  "USER=root",
  "TERM=dumb",
  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  "bash",
  "--norc",
  "-euo",
  "pipefail",
  "-c",
] as const;
