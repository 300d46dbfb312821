import { execFile } from "node:child_process";
import { SYSTEM } from "../install/detect/command.ts";

/** Milliseconds that a program may take, and bytes that it may say. */
const TIME_LIMIT = 10_000;
const OUTPUT_LIMIT = 16 * 1024 * 1024;

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; undefined when there is none of this name. In English and UTC, whatever the host speaks. */
export function run(argv: readonly [string, ...string[]], input = ""): Promise<Ran | undefined> {
  const [program, ...args] = argv;
  const path = `${process.env["PATH"] ?? ""}:${SYSTEM.join(":")}`;
  const env = { LC_ALL: "C", TZ: "UTC", HOME: "/dev/null", PATH: path };
  const options = { env, timeout: TIME_LIMIT, killSignal: "SIGKILL", maxBuffer: OUTPUT_LIMIT } as const;
  return new Promise((resolve) => {
    const child = execFile(program, args, options, (failure, stdout, stderr) => {
      if (failure?.code === "ENOENT") return resolve(undefined);
      const code = failure === null ? 0 : typeof failure.code === "number" ? failure.code : 1;
      resolve({ code, stdout, stderr });
    });
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}
