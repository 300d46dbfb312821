import { type Logger, WkfsError, messageOf } from "@wkfs/core";
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
 * From so many lines on, and for a change beside another one, a process of their own is cheaper than the one that is kept: that
 * one acknowledges every line, which costs 14 µs, and `ipset restore` 4 µs and 2 ms for the process.
 */
const BULK = 128;

/** `prefix` is an argv to put before every command: how tests reach into a network namespace. */
export function hostNetfilter(family: Family, log: Logger, prefix: readonly string[] = []): Netfilter {
  const programs = PROGRAMS[family];
  const session = new IpsetSession(prefix, log);
  /** The line that makes a set as it stands, by the name of the set. */
  const made = new Map<string, string>();
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
    async createSet(name, size, counters) {
      const line = `create ${name} hash:ip,port family ${programs.family} timeout 600 maxelem ${size}${counters ? " counters" : ""}`;
      // Refused where there is one that differs, be it in its size.
      const argv = ["ipset", "-exist", ...line.split(" ")];
      const result = await execute([...prefix, ...argv]);
      made.delete(name);
      if (result.code === 0) made.set(name, line);
      else if (!alreadyThere(result.stderr)) throw refusal(argv, result.stderr);
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
      // The name of a protocol it would look up in files, for every line: half of its time.
      const lines = commands.map((command) => command.replace(",tcp:", ",6:").replace(",udp:", ",17:"));
      if (lines.length < BULK && !busy) {
        busy = true;
        try {
          return await session.run(lines);
        } finally {
          busy = false;
        }
      }
      // And it would ask the kernel for the type of the set, unless it has made the set itself: a quarter of what is left.
      const set = lines[0]!.split(" ", 2)[1]!;
      const first = made.get(set);
      const restore = (text: readonly string[]) => run(["ipset", "-exist", "restore"], `${text.join("\n")}\n`);
      if (first === undefined) return void (await restore(lines));
      try {
        await restore([first, ...lines]);
      } catch (error) {
        if (!alreadyThere(messageOf(error))) throw error;
        // Somebody has put another one in its place. It is as good.
        made.delete(set);
        await restore(lines);
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
