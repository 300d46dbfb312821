import { execFile } from "node:child_process";

/** Milliseconds that a program may run, and bytes that it may print. */
const TIME_LIMIT = 30_000;
const OUTPUT_LIMIT = 268_435_456;

export interface Ran {
  /** Undefined where there is no such program, or it was ended. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of the host to its end; never a shell. Where root's PATH leads is looked at too. */
export function program(argv: readonly string[]): Promise<Ran> {
  const [file, ...args] = argv;
  const env = { LC_ALL: "C", PATH: `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin` };
  const limits = { timeout: TIME_LIMIT, maxBuffer: OUTPUT_LIMIT, killSignal: "SIGKILL" } as const;
  return new Promise((resolve) => {
    execFile(file!, args, { ...limits, env }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : undefined;
      resolve({ code, stdout, stderr: stderr || (error?.message ?? "") });
    });
  });
}
