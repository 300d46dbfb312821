import { pino } from "pino";
import type { Logger } from "../contracts/plugin.ts";

/** Keys whose values never reach a log, wherever in the data they stand one level deep. */
const SECRETS = ["secret", "password", "keys", "key1", "key2", "iv1", "iv2", "sign", "pass"];

/**
 * The log of a process: one JSON object a line on standard error, with a time in ISO 8601. `level` is one of
 * debug, info, warn, error, silent.
 */
export function createLogger({ name, level = "info" }: { readonly name: string; readonly level?: string }): Logger {
  return pino(
    {
      name,
      level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: [...SECRETS, ...SECRETS.map((key) => `*.${key}`)], censor: "[secret]" },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
