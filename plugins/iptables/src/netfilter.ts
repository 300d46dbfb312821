import { spawn } from "node:child_process";
import { type Logger, WkfsError } from "@wkfs/core";
import type { Family } from "./config.ts";
import { IpsetSession } from "./ipset-session.ts";

/**
 * The seam to the host's programs. One implementation runs them; the tests have one that keeps tables and sets in
 * memory. Every method rejects with `FIREWALL_FAILED` when the kernel refuses, with `FIREWALL_FULL` when a set is
 * full, and with `HOST_UNSUPPORTED` when a program is missing.
 */
export interface Netfilter {
  /** The filter table as iptables-save prints it. */
  save(): Promise<string>;
  /** One iptables-restore transaction: all of it or nothing. */
  restore(text: string): Promise<void>;
  /** Whether this host has sets at all. Changes nothing. */
  hasSets(): Promise<boolean>;
  /** Makes a set of `hash:ip,port` with timeouts. One that is there already is left as it is. */
  createSet(name: string, size: number): Promise<void>;
  /** The set's own description; undefined when there is no such set. */
  describeSet(name: string): Promise<SetDescription | undefined>;
  /** The elements as `ipset save` prints them: `10.0.0.2,tcp:22 timeout 60`. */
  readSet(name: string): Promise<string[]>;
  /** Runs ipset commands in order and waits for all of them; rejects when one was refused, the others done. */
  writeSet(lines: readonly string[]): Promise<void>;
  /** Removes a set; one that is not there is no error. */
  destroySet(name: string): Promise<void>;
  /** Ends processes that are kept. Idempotent. */
  close(): Promise<void>;
}

interface SetDescription {
  /** Whether it is of the type, family and kind that we write. */
  readonly fits: boolean;
  /** Elements, ended ones that are not swept yet among them. */
  readonly count: number;
}

const PROGRAMS = {
  ipv4: { restore: "iptables-restore", save: "iptables-save", family: "inet" },
  ipv6: { restore: "ip6tables-restore", save: "ip6tables-save", family: "inet6" },
} as const;
/** Milliseconds that one program may run, and bytes that it may print: 10 million elements. */
const TIME_LIMIT = 30_000;
const OUTPUT_LIMIT = 1_073_741_824;
/** Seconds that iptables waits for another program's lock (`-w`), where it has one. */
const LOCK_WAIT = "5";

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `prefix` is an argv to put before every command: how tests reach into a network namespace. */
export function hostNetfilter(family: Family, log: Logger, prefix: readonly string[] = []): Netfilter {
  const programs = PROGRAMS[family];
  const session = new IpsetSession(prefix, log);

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
    writeSet: (lines) => session.run(lines),
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

/** The error for a program that was refused by the kernel, with what it said. */
export function refusal(argv: readonly string[], said: string): WkfsError {
  const text =
    said
      .trim()
      .replaceAll(/\s*\n\s*/g, "; ")
      .slice(0, 500) || "no reason given";
  if (/Hash is full/.test(said)) {
    return new WkfsError("FIREWALL_FULL", `${argv[0]}: ${text}`, {
      hint: "Raise `size` of the firewall in the configuration; the set is made anew after `wkfs daemon --detach`.",
    });
  }
  return new WkfsError("FIREWALL_FAILED", `\`${argv.join(" ")}\` was refused: ${text}`, {
    hint: "Run it by hand as root; a missing kernel module (xt_set, xt_conntrack, ip_set_hash_ipport) or right (CAP_NET_ADMIN; CAP_NET_RAW for sets) is the usual cause.",
  });
}

export function missingProgram(program: string): WkfsError {
  return new WkfsError("HOST_UNSUPPORTED", `the program ${program} is not installed`, {
    hint: "apt-get install iptables ipset",
  });
}

/** Debian keeps these programs where the PATH of an unprivileged user does not lead. */
export function programEnvironment(): NodeJS.ProcessEnv {
  return { LC_ALL: "C", PATH: `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin` };
}

function execute(argv: readonly string[], input = ""): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const [program, ...args] = argv;
    const child = spawn(program!, args, {
      stdio: "pipe",
      env: programEnvironment(),
      timeout: TIME_LIMIT,
      killSignal: "SIGKILL",
    });
    const output: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
    let size = 0;
    for (const name of ["stdout", "stderr"] as const) {
      child[name].on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > OUTPUT_LIMIT) child.kill("SIGKILL");
        else output[name].push(chunk);
      });
    }
    child.on("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "ENOENT" ? missingProgram(program!) : refusal(argv, error.message)),
    );
    child.on("close", (code, signal) => {
      const text = (name: "stdout" | "stderr") => Buffer.concat(output[name]).toString();
      const stderr =
        signal === null ? text("stderr") : `${text("stderr")}\nended by ${signal} after at most ${TIME_LIMIT / 1000} s`;
      // A program behind a prefix that cannot be started gives 127.
      if (code === 127 && /not found|No such file/.test(stderr))
        reject(missingProgram(argv.find((word) => /tables|ipset/.test(word)) ?? program!));
      else resolve({ code: code ?? 1, stdout: text("stdout"), stderr });
    });
    // A program that ends without reading its input breaks the pipe; its exit code tells.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}
