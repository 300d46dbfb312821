import { pino } from "pino";
import type { Logger } from "../contracts/plugin.ts";

/** Keys whose values never reach a log, in the data and one level deeper. */
const SECRETS = new Set(["secret", "password", "keys", "key1", "key2", "iv1", "iv2", "sign", "pass"]);
/** Characters that are gathered at most before they are written, also within one turn of the event loop. */
const GATHERED = 65_536;

/**
 * The log of a process: one JSON object a line on standard error, with a time in ISO 8601. `level` is one of
 * debug, info, warn, error, silent.
 */
export function createLogger({ name, level = "info" }: { readonly name: string; readonly level?: string }): Logger {
  return pino(
    {
      name,
      level,
      timestamp: timestamps(),
      formatters: { level: (label) => ({ level: label }), log: withoutSecrets },
    },
    gathered(2),
  );
}

/** As pino writes the time, but formatted once a millisecond and not once a line. */
function timestamps(): () => string {
  let of = 0;
  let text = "";
  return () => {
    const now = Date.now();
    if (now !== of) text = `,"time":"${new Date(now).toISOString()}"`;
    of = now;
    return text;
  };
}

/**
 * The lines of one turn of the event loop go out in one write: under load a write a line costs more than what
 * it tells of. At idle that is at once, and the end of the process writes what is left.
 */
function gathered(fd: number): { write(line: string): void } {
  const file = pino.destination({ fd, sync: true });
  let lines = "";
  const flush = (): void => {
    const text = lines;
    lines = "";
    if (text !== "") file.write(text);
  };
  process.on("exit", flush);
  return {
    write(line) {
      if (lines === "") setImmediate(flush);
      lines += line;
      if (lines.length > GATHERED) flush();
    },
  };
}

function withoutSecrets(data: Record<string, unknown>): Record<string, unknown> {
  let clean = data;
  for (const [key, value] of Object.entries(data)) {
    const shown = SECRETS.has(key) ? "[secret]" : isObject(value) ? withoutNamed(value) : value;
    if (shown === value) continue;
    if (clean === data) clean = { ...data };
    clean[key] = shown;
  }
  return clean;
}

function withoutNamed(value: Record<string, unknown>): Record<string, unknown> {
  return Object.keys(value).some((key) => SECRETS.has(key))
    ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, SECRETS.has(key) ? "[secret]" : inner]))
    : value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
