import { type Logger, messageOf } from "@wkfs/core";
import { NftSession, NoSession } from "./nft-session.ts";
import type { Nftables } from "./nftables.ts";
import { execute, refusal } from "./program.ts";

/** Milliseconds that the process for changes beside others is kept without any. */
const IDLE = 1000;

/** `prefix` is an argv to put before every command: how tests reach into a network namespace. */
export function hostNftables(log: Logger, prefix: readonly string[] = []): Nftables {
  /** The second one is for changes beside others. */
  const sessions = [new NftSession(prefix, log), new NftSession(prefix, log)] as const;
  const busy = new Set<NftSession>();
  let kept = true;
  let idle: NodeJS.Timeout | undefined;

  /** Runs nft once; undefined when what it was asked about is not there. */
  async function ask(...args: string[]): Promise<{ readonly stdout: string; readonly read: number } | undefined> {
    const argv = ["nft", ...args];
    const { code, stdout, stderr, read } = await execute([...prefix, ...argv]);
    if (code === 0) return { stdout, read };
    if (alreadyGone(stderr)) return undefined;
    throw refusal(argv, stderr);
  }

  return {
    async write(commands) {
      const session = sessions.find((one) => !busy.has(one));
      if (kept && session !== undefined) {
        busy.add(session);
        try {
          return await session.run(commands);
        } catch (error) {
          if (!(error instanceof NoSession)) throw error;
          kept = false;
          log.warn({ error: messageOf(error) }, "each change of the packet filter starts a process of its own");
        } finally {
          busy.delete(session);
          clearTimeout(idle);
          idle = setTimeout(() => void (busy.has(sessions[1]) || sessions[1].close()), IDLE).unref();
        }
      }
      const argv = ["nft", "-f", "-"];
      const { code, stderr } = await execute([...prefix, ...argv], commands);
      if (code !== 0) throw refusal(argv, stderr);
    },
    // The second command is there for what it does to the first: up to nft 1.1, `--terse` is not heeded by `list table` alone, and
    // 100,000 elements are read for nothing (3.4 s; 5 ms with it). What it lists is that table again, and no other.
    describe: async ({ family, name }) =>
      (await ask("--stateless", "--handle", "--terse", `list table ${family} ${name}; list ruleset`))?.stdout,
    async readSet({ family, name }, set) {
      const asked = performance.now();
      // JSON is printed in one go, text in a dozen writes an element; and without a look at /etc/protocols for each.
      const answer = await ask("--json", "--numeric-protocol", `list set ${family} ${name} ${set}`);
      return answer && { json: answer.stdout, age: performance.now() - asked - answer.read / 2 };
    },
    async holds({ family, name }, elements) {
      if (elements.length === 0) return [];
      // Nothing is changed with `--check`, and yet the kernel says of each element that it exists. `get element` reads the whole set.
      const argv = ["nft", "--check", "-f", "-"];
      const lines = elements.map(({ set, element }) => `create element ${family} ${name} ${set} { ${element} }\n`);
      const { code, stderr } = await execute([...prefix, ...argv], lines.join(""));
      const there = new Set([...stderr.matchAll(/^[^\s:]+:(\d+):.*File exists$/gm)].map(([, line]) => Number(line)));
      if (code !== 0 && there.size === 0 && !alreadyGone(stderr)) throw refusal(argv, stderr);
      return elements.map((_, index) => there.has(index + 1));
    },
    async close() {
      clearTimeout(idle);
      for (const session of sessions) await session.close();
    },
  };
}

/** The words of nft for what is no error to us. */
function alreadyGone(stderr: string): boolean {
  return /No such file or directory/.test(stderr);
}
