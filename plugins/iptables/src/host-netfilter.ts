import { type Logger, WkfsError } from "@wkfs/core";
import type { Family } from "./config.ts";
import { IpsetSession } from "./ipset-session.ts";
import type { Netfilter } from "./netfilter.ts";
import { execute, refusal } from "./program.ts";

const PROGRAMS = {
  ipv4: { restore: "iptables-restore", save: "iptables-save", family: "inet" },
  ipv6: { restore: "ip6tables-restore", save: "ip6tables-save", family: "inet6" },
} as const;
/** Seconds that iptables waits for another program's lock (`-w`), where it has one. */
const LOCK_WAIT = "5";
/**
 * From so many lines on, and for a change beside another one, a process of their own is cheaper than the one that is kept: that one acknowledges every line, which
 * costs 14 µs, and `ipset restore` 5 µs and 2 ms for the process.
 */
const BULK = 128;

/** `prefix` is an argv to put before every command: how tests reach into a network namespace. */
export function hostNetfilter(family: Family, log: Logger, prefix: readonly string[] = []): Netfilter {
  const programs = PROGRAMS[family];
  const session = new IpsetSession(prefix, log);
  let busy = false;

  async function run(argv: readonly string[], input?: string): Promise<string> {
    const result = await execute([...prefix, ...argv], input);
    if (result.code === 0) return result.stdout;
    throw refusal(argv, result.stderr);
  }

  return {
    save: () => run([programs.save, "-t", "filter"]),
    restore: async (text) => void (await run([programs.restore, "--noflush", "--wait", LOCK_WAIT], text)),
    async hasSets() {
      try {
        return (await execute([...prefix, "ipset", "list", "-n"])).code === 0;
      } catch (error) {
        if (error instanceof WkfsError && error.code === "HOST_UNSUPPORTED") return false;
        throw error;
      }
    },
    async createSet(name, size) {
      const argv = [
        "ipset",
        "create",
        name,
        "hash:ip,port",
        "family",
        programs.family,
        "timeout",
        "600",
        "maxelem",
        String(size),
      ];
      const result = await execute([...prefix, ...argv]);
      if (result.code !== 0 && !alreadyThere(result.stderr)) throw refusal(argv, result.stderr);
    },
    async describeSet(name) {
      const argv = ["ipset", "list", "-t", name];
      const result = await execute([...prefix, ...argv]);
      if (result.code !== 0) {
        if (alreadyGone(result.stderr)) return undefined;
        throw refusal(argv, result.stderr);
      }
      const { stdout } = result;
      const header = new RegExp(`^Header: .*\\bfamily ${programs.family} .*\\btimeout \\d`, "m");
      return {
        fits: /^Type: hash:ip,port$/m.test(stdout) && header.test(stdout),
        count: Number(/^Number of entries: (\d+)$/m.exec(stdout)?.[1] ?? 0),
      };
    },
    async readSet(name) {
      const saved = await run(["ipset", "save", name]);
      const start = `add ${name} `;
      return saved.split("\n").flatMap((line) => (line.startsWith(start) ? [line.slice(start.length)] : []));
    },
    async writeSet(commands) {
      // TCP is what ipset takes without a protocol. A name it would look up in files, for every line: half of its time.
      const lines = commands.map((command) => command.replace(",tcp:", ","));
      if (busy || lines.length >= BULK)
        return void (await run(["ipset", "-exist", "restore"], `${lines.join("\n")}\n`));
      busy = true;
      try {
        await session.run(lines);
      } finally {
        busy = false;
      }
    },
    async destroySet(name) {
      // The kernel frees a set some time after the last rule that names it: until then it says that it is in use.
      for (let tries = 50; ; tries -= 1) {
        const argv = ["ipset", "destroy", name];
        const result = await execute([...prefix, ...argv]);
        if (result.code === 0 || alreadyGone(result.stderr)) return;
        if (tries === 0 || !/in use/.test(result.stderr)) throw refusal(argv, result.stderr);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    close: () => session.close(),
  };
}

/** The words of ipset for what is no error to us; everything else is one. */
function alreadyThere(stderr: string): boolean {
  return /set with the same name already exists/.test(stderr);
}

function alreadyGone(stderr: string): boolean {
  return /The set with the given name does not exist/.test(stderr);
}
