import { readFile } from "node:fs/promises";
import type { Clock, Logger, PluginContext } from "../src/contracts/plugin.ts";

/** One line of a `recordingLogger`. */
export interface LogLine {
  readonly level: keyof Logger;
  readonly data: object;
  readonly message: string;
}

/** A logger that keeps what it is told. */
export function recordingLogger(lines: LogLine[] = []): Logger & { readonly lines: LogLine[] } {
  const at = (level: keyof Logger) => (data: object, message: string) => void lines.push({ level, data, message });
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A context as core gives it to plugins, for tests: any part of it may be given. */
export function testContext(parts: Partial<PluginContext> = {}): PluginContext {
  return {
    log: recordingLogger(),
    clock: systemClock,
    signal: new AbortController().signal,
    protect: { tcp: [22, 5432], udp: [1194] },
    maxTime: 600,
    readSecret: async (path) => (await readFile(path, "utf8")).replace(/\n$/, ""),
    ...parts,
  };
}

const systemClock: Clock = {
  now: () => Date.now(),
  steady: () => performance.now(),
  setTimer(delay, callback) {
    const timer = setTimeout(callback, delay);
    return () => clearTimeout(timer);
  },
};
