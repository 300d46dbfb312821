import { readFile, readdir, readlink } from "node:fs/promises";
import { basename, join } from "node:path";

/** Who runs on this host, as far as this user may see it. */
export interface Program {
  readonly pid: number;
  /** What the process calls itself, of which the kernel keeps 15 characters. */
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
  const called = await readFile(join(proc, pid, "comm"), "utf8").catch(() => undefined);
  if (called === undefined) return undefined;
  // Node calls itself by its thread.
  const name = called.trim() === "MainThread" ? await executable(join(proc, pid), called.trim()) : called.trim();
  const folder = join(proc, pid, "fd");
  const descriptors = await readdir(folder).catch(() => []);
  const targets = await Promise.all(descriptors.map((fd) => readlink(join(folder, fd)).catch(() => "")));
  const sockets = targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);
  return { pid: Number(pid), name, sockets };
}

async function executable(folder: string, otherwise: string): Promise<string> {
  return await readlink(join(folder, "exe")).then(basename, () => otherwise);
}
