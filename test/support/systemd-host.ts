import type { ChildProcess } from "node:child_process";
import { existsSync, readFileSync, watch } from "node:fs";
import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { CommandResult, NetworkNamespace } from "@wkfs/core/testing";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SYSTEMD = "/lib/systemd/systemd";

/** Where this checkout is on such a host: as an installed one, in no folder that services do not see. */
const INSTALLED = "/opt/wkfs";
export const NODE = process.execPath.startsWith(ROOT)
  ? join(INSTALLED, relative(ROOT, process.execPath))
  : process.execPath;
export const WKFS = `${INSTALLED}/cli/bin/run.js`;

/** Why there can be no such host here; undefined when there can. */
export function whyNoSystemd(): string | undefined {
  if (!existsSync(SYSTEMD)) return `${SYSTEMD} is missing: apt-get install systemd`;
  return cgroups() === undefined ? "no cgroup2 is mounted" : undefined;
}

/**
 * The host of a network namespace with the real systemd as its first process: with its own processes, mounts and control groups, and
 * nothing in /run, /tmp and /var/log. /etc, which begins as a copy, and /var/lib, which begins empty, are on a disk: who boots again with the same
 * folder finds them. What it starts is under all that a unit says.
 */
export class SystemdHost implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #pid: number;
  readonly #group: string;
  readonly #network: NetworkNamespace;
  readonly #folder: string;

  private constructor(child: ChildProcess, pid: number, group: string, network: NetworkNamespace, folder: string) {
    this.#child = child;
    this.#pid = pid;
    this.#group = group;
    this.#network = network;
    this.#folder = folder;
  }

  /** `folder` is seen there too, as /mnt. */
  static async boot(network: NetworkNamespace, folder: string): Promise<SystemdHost> {
    const group = join(cgroups()!, `wkfs-test-${randomBytes(6).toString("hex")}`);
    await mkdir(group);
    await writeFile(join(folder, "boot.sh"), BOOT);
    await network.run("rm", "-f", join(folder, "booted"));
    await network.run("mkfifo", join(folder, "booted"));
    const enter = `echo 0 > ${group}/cgroup.procs && exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child sh ${folder}/boot.sh ${ROOT} ${folder}`;
    const child = network.spawn(["sh", "-c", enter], { stdio: ["ignore", "inherit", "pipe"] });
    let said = "";
    child.stderr!.on("data", (text: Buffer) => (said += String(text)));
    const ended = once(child, "exit").then(([code]) =>
      Promise.reject(new Error(`systemd ended with ${String(code)}: ${said}`)),
    );
    ended.catch(() => {});
    await Promise.race([network.run("cat", join(folder, "booted")), ended]);
    const [pid] = (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")).trim().split(" ");
    return new SystemdHost(child, Number(pid), group, network, folder);
  }

  /** Runs a command there as root, outside of every unit. */
  exec(argv: readonly string[]): Promise<CommandResult> {
    const enter = ["nsenter", "--target", String(this.#pid), "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--"];
    return this.#network.exec([...enter, ...argv]);
  }

  async run(...argv: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.exec(argv);
    if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}: ${stderr}${stdout}\n${this.logs()}`);
    return stdout;
  }

  wkfs(...args: string[]): Promise<CommandResult> {
    return this.exec([NODE, WKFS, ...args]);
  }

  /** A property of a unit. */
  async property(unit: string, name: string): Promise<string> {
    return (await this.run("systemctl", "show", "--value", "--property", name, unit)).trim();
  }

  /** What services wrote, oldest first. */
  logs(): string {
    try {
      return readFileSync(join(this.#folder, "log"), "utf8");
    } catch {
      return "";
    }
  }

  /** Waits until services have written this so many times. */
  async says(text: string, times = 1): Promise<void> {
    const watcher = watch(this.#folder);
    try {
      for (;;) {
        const changed = once(watcher, "change");
        if (this.logs().split(text).length > times) return;
        await changed;
      }
    } finally {
      watcher.close();
    }
  }

  /** Waits until this stands in the journal, where services write that have no log of their own. */
  async journalSays(text: string): Promise<void> {
    const line =
      'mkfifo "$0" && { journalctl --follow --lines all --output cat > "$0" & grep -q --fixed-strings -- "$1" "$0"; kill $!; rm "$0"; }';
    await this.run("sh", "-c", line, "/tmp/journal", text);
  }

  /** The rights of a unit's main process, as the kernel has them. */
  async rights(unit: string): Promise<Record<string, string>> {
    const status = await this.run("cat", `/proc/${await this.property(unit, "MainPID")}/status`);
    return Object.fromEntries(
      status.split("\n").flatMap((line) => {
        const [, name, value] = /^(NoNewPrivs|Seccomp|CapEff|CapBnd|CapAmb|CapPrm):\s+(\S+)/.exec(line) ?? [];
        return name === undefined ? [] : [[name, value!]];
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#child, "exit");
    process.kill(this.#pid, "SIGKILL");
    await gone;
    // Bottom up: a group goes when it has no other in it.
    const { stdout } = await this.#network.exec(["find", this.#group, "-depth", "-type", "d"]);
    for (const group of stdout.trim().split("\n")) await rmdir(group);
  }
}

/** Where the control groups of version 2 are. */
function cgroups(): string | undefined {
  const mounts = readFileSync("/proc/mounts", "utf8").split("\n");
  return mounts.map((line) => line.split(" ")).find(([, , type]) => type === "cgroup2")?.[1];
}

/** The first process of the host, before it becomes systemd. It sees the host of the test, and leaves nothing on it. */
const BOOT = `set -eu
root=$1 folder=$2
mount --make-rprivate /
mount -t tmpfs none /opt
mkdir /opt/wkfs
mount --bind "$root" /opt/wkfs
mount --bind "$folder" /mnt
mount -t tmpfs none /run
disk=$folder/disk
if [ ! -d "$disk" ]; then
  mkdir -p "$disk/lib"
  cp -a /etc "$disk/etc"
  rm -rf "$disk/etc/systemd/system" "$disk/etc/wkfs"
  mkdir "$disk/etc/systemd/system"
fi
mount --bind "$disk/etc" /etc
mount --bind "$disk/lib" /var/lib
for empty in /tmp /var/tmp /var/log /usr/lib/systemd/system-generators; do mount -t tmpfs none $empty; done
chmod 1777 /tmp /var/tmp
mount -t proc proc /proc
# The kernel tells another identity at each look. Of a boot there is one.
cat /proc/sys/kernel/random/uuid > /run/boot-id
mount --bind /run/boot-id /proc/sys/kernel/random/boot_id
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
cat > /etc/systemd/system/booted.service <<'UNIT'
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo booted > /mnt/booted'
UNIT
cat > /etc/systemd/system/test.target <<'UNIT'
[Unit]
Wants=booted.service
After=booted.service
UNIT
# Credentials are mounted in one namespace and seen in another.
mount --make-rshared /
export container=test
exec ${SYSTEMD} --system --unit=test.target --log-target=null --show-status=0
`;
