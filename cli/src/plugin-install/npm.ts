import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { WkfsError } from "@wkfs/core";

/** Milliseconds that one call of npm may take, and bytes that it may say. */
const LIMIT = 600_000;
const MOST_OUTPUT = 32 << 20;

/**
 * On the command line, where they win over every setting of a user: no script of a package runs, and peers, of which
 * core is one, are neither fetched nor put beside the plugin.
 */
const ALWAYS = ["--json", "--ignore-scripts", "--legacy-peer-deps", "--omit=dev", "--no-audit", "--no-fund"];
const QUIET = ["--no-update-notifier", "--loglevel=error", "--global=false", "--dry-run=false"];

const UNREACHABLE =
  /^(ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT|ESOCKET\w*|ERR_SOCKET_TIMEOUT|EHOSTUNREACH|ENETUNREACH|E5\d\d|E429|UNABLE_TO\w+|SELF_SIGNED\w+|CERT_\w+)$/;

/**
 * Runs the npm that came with us, in the data directory: settings of the folder that one happens to be in do not count.
 * Gives what it answered as JSON. Throws `SERVER_UNREACHABLE` when the registry could not be asked, `PLUGIN_INVALID` when it
 * has not what is asked for, and `HOST_UNSUPPORTED` for the rest.
 */
export async function npm(dataDir: string, ...args: readonly string[]): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const options = { cwd: dataDir, timeout: LIMIT, maxBuffer: MOST_OUTPUT, killSignal: "SIGKILL" as const };
  execFile(process.execPath, [program(), ...args, ...ALWAYS, ...QUIET], options, (error, stdout, stderr) => {
    if (error === null) resolve(stdout);
    else reject(failure(args, stdout, stderr, error));
  }).stdin?.end();
  const text = await promise;
  return text.trim() === "" ? undefined : JSON.parse(text);
}

function program(): string {
  const description = fileURLToPath(import.meta.resolve("npm/package.json"));
  const { bin } = JSON.parse(readFileSync(description, "utf8")) as { readonly bin: { readonly npm: string } };
  return join(dirname(description), bin.npm);
}

function failure(args: readonly string[], stdout: string, stderr: string, cause: Error): WkfsError {
  const { code, summary } = saidIn(stdout);
  const text = summary || stderr.trim().split("\n").slice(-5).join("\n") || cause.message;
  const message = `npm ${args[0]} failed: ${text}`;
  if (UNREACHABLE.test(code)) {
    const hint = "Look at the network, and at registry and proxy in the settings of npm (`npm config ls`).";
    return new WkfsError("SERVER_UNREACHABLE", message, { hint, cause });
  }
  if (/^(E404|ETARGET|ENOVERSIONS|EBADENGINE|EINTEGRITY|E40[13])$/.test(code)) {
    const hint = "Look whether the package, and what it depends on, is in the registry that npm uses.";
    return new WkfsError("PLUGIN_INVALID", message, { hint, cause: new Error(code, { cause }) });
  }
  const hint = /^(EACCES|EPERM|EROFS)$/.test(code)
    ? "Run this as the user to whom the data directory belongs, often root."
    : "Mend what npm complains of, and try again; nothing was changed.";
  return new WkfsError("HOST_UNSUPPORTED", message, { hint, cause });
}

/** With `--json` npm says on stdout what was wrong. */
function saidIn(stdout: string): { readonly code: string; readonly summary: string } {
  try {
    const { error } = JSON.parse(stdout) as {
      readonly error?: { readonly code?: unknown; readonly summary?: unknown };
    };
    return { code: String(error?.code ?? ""), summary: String(error?.summary ?? "").trim() };
  } catch {
    return { code: "", summary: "" };
  }
}
