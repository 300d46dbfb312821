import { execFile } from "node:child_process";

/** Milliseconds that a program may take which we only ask, and bytes that it may say. */
const TIME_LIMIT = 10_000;
const OUTPUT_LIMIT = 64 * 1024 * 1024;

/** What a program printed; undefined when it is not there, or failed. Never a shell, and it changes nothing. */
export function ask(program: string, ...args: readonly string[]): Promise<string | undefined> {
  const env = { LC_ALL: "C", TZ: "UTC", HOME: "/dev/null", PATH: `${process.env["PATH"] ?? ""}:${SYSTEM.join(":")}` };
  const options = { env, timeout: TIME_LIMIT, killSignal: "SIGKILL", maxBuffer: OUTPUT_LIMIT } as const;
  return new Promise((resolve) => {
    execFile(program, [...args], options, (error, stdout) => resolve(error === null ? stdout : undefined));
  });
}

/** Where Debian keeps programs that the PATH of an ordinary user does not have. */
export const SYSTEM: readonly string[] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
