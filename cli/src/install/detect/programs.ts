import { readFile, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";

/** Who runs on this host, as far as this user may see it. */
export interface Program {
  readonly pid: number;
  /** The first 15 characters of its name. */
  readonly name: string;
  /** The inodes of its sockets; empty where we may not look. */
  readonly sockets: readonly string[];
}

/** All processes below a `/proc`. One that ends meanwhile, and what is somebody else's, is passed over. */
export async function runningPrograms(proc = "/proc"): Promise<Program[]> {
  const entries = await readdir(proc).catch(() => []);
  const programs = entries.filter((entry) => /^\d+$/.test(entry)).map((pid) => programOf(proc, pid));
  return (await Promise.all(programs)).filter((program) => program !== undefined);
}

async function programOf(proc: string, pid: string): Promise<Program | undefined> {
  const name = await readFile(join(proc, pid, "comm"), "utf8").catch(() => undefined);
  if (name === undefined) return undefined;
  const folder = join(proc, pid, "fd");
  const descriptors = await readdir(folder).catch(() => []);
  const targets = await Promise.all(descriptors.map((fd) => readlink(join(folder, fd)).catch(() => "")));
  const sockets = targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);
  return { pid: Number(pid), name: name.trim(), sockets };
}
