import type { Logger } from "../contracts/plugin.ts";

/** The log where nobody asked for one. Stands by itself: no program loads pino to log nothing. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
