import { spawn } from "node:child_process";
import { WkfsError } from "@wkfs/core";

/** Running nft, and the errors that it ends in. */

/** Milliseconds that one run may take, and bytes that it may print: 10 million elements. */
const TIME_LIMIT = 30_000;
const OUTPUT_LIMIT = 1_073_741_824;

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Milliseconds from the start to the first output: nft prints when it has read everything. */
  readonly read: number;
}

/** The error for a change that was refused, with what nft said. */
export function refusal(argv: readonly string[], said: string): WkfsError {
  const text =
    said
      .trim()
      .replaceAll(/\s*\n\s*/g, "; ")
      .slice(0, 500) || "no reason given";
  const message = `\`${argv.join(" ")}\` was refused: ${text}`;
  if (/Too many open files in system|No space left on device/.test(said)) return full(message);
  if (/Message too long/.test(said)) {
    return new WkfsError("FIREWALL_FAILED", message, {
      hint: "In a user namespace of its own the kernel takes about 1,500 leases in one change; run the daemon outside of it.",
    });
  }
  return new WkfsError("FIREWALL_FAILED", message, {
    hint: "Run `nft list ruleset` by hand as root; a missing right (CAP_NET_ADMIN) or a kernel without nf_tables is the usual cause.",
  });
}

export function full(message: string): WkfsError {
  return new WkfsError("FIREWALL_FULL", message, {
    hint: "Raise `size` of the firewall in the configuration and start the daemon again; the open leases stay.",
  });
}

function missingProgram(program: string): WkfsError {
  return new WkfsError("HOST_UNSUPPORTED", `the program ${program} is not installed`, {
    hint: "apt-get install nftables",
  });
}

/**
 * Debian keeps nft where the PATH of an unprivileged user does not lead. `nft -i` writes what it was told into
 * `$HOME/.nft.history`, which would be a record of addresses: below /dev/null it cannot.
 */
export function programEnvironment(): NodeJS.ProcessEnv {
  return {
    LC_ALL: "C",
    // nft writes and reads the times of day in rules by the time zone of its process.
    TZ: "UTC",
    TERM: "dumb",
    HOME: "/dev/null",
    PATH: `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`,
  };
}

/** Runs a program to its end; never a shell. */
export function execute(argv: readonly string[], input = ""): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const [program, ...args] = argv;
    const started = performance.now();
    let read: number | undefined;
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
        read ??= performance.now() - started;
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
      if (code === 127 && /not found|No such file/.test(stderr)) reject(missingProgram("nft"));
      else resolve({ code: code ?? 1, stdout: text("stdout"), stderr, read: read ?? 0 });
    });
    // A program that ends without reading its input breaks the pipe; its exit code tells.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}
