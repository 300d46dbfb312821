import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";

/** Where the figures come from. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memory: string;
  readonly kernel: string;
  readonly node: string;
  readonly programs: readonly string[];
  readonly store: string;
  readonly time: string;
}

export function describeMachine(folder: string): Machine {
  return {
    processor: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memory: `${Math.round(totalmem() / 2 ** 30)} GB`,
    kernel: release(),
    node: process.version,
    programs: [
      ["iptables", "--version"],
      ["ipset", "--version"],
      ["nft", "--version"],
      ["fwknopd", "--version"],
    ].flatMap(([program, flag]) => firstLine(program!, flag!) ?? []),
    store: `${fileSystem(folder)} file system, ${folder.split("/").slice(0, -1).join("/")}`,
    time: new Date().toISOString(),
  };
}

export function machineText({ processor, cores, memory, kernel, node, programs, store, time }: Machine): string {
  return [
    `${processor}, ${cores} cores, ${memory}; Linux ${kernel}; Node ${node}`,
    programs.join("; "),
    `store: sqlite, ${store}; ${time}`,
  ].join("\n");
}

/** Whether a program can be started, without starting what it does. */
export function firstLine(program: string, ...args: string[]): string | undefined {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
      .trim()
      .split("\n")[0];
  } catch {
    return undefined;
  }
}

/** The type of the file system that a folder is on. */
function fileSystem(folder: string): string {
  const mounts = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, point]) => point !== undefined && `${folder}/`.startsWith(point === "/" ? "/" : `${point}/`))
    .toSorted((a, b) => b[1]!.length - a[1]!.length);
  return mounts[0]?.[2] ?? "unknown";
}
