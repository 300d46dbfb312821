import { spawn } from "node:child_process";
import { WkfsError } from "@wkfs/core";

/** Running the programs of the packet filter, and the errors that they end in. */

/** Milliseconds that one program may run, and bytes that it may print: 10 million elements. */
const TIME_LIMIT = 30_000;
const OUTPUT_LIMIT = 1_073_741_824;

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
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

export function execute(argv: readonly string[], input = ""): Promise<Finished> {
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
