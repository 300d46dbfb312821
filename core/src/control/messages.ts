/**
 * What goes over the daemon's control socket, in the words of docs/control.md: lines of JSON in UTF-8, each ended by a
 * line feed.
 *
 * - A request is `{ "id": 1, "op": "leases", "args": {} }`. Its id is chosen by who asks, and comes back in each line about it.
 * - Any number of `{ "id": 1, "item": … }`, then one last line: `{ "id": 1, "result": … }` or `{ "id": 1, "error": { code, message, hint } }`.
 * - Several requests may be under way on one connection. The end of a connection calls off all of them.
 */
import type { ErrorCode } from "../model/errors.ts";

/** Bytes that the line of a request may have. */
export const LONGEST_REQUEST = 65_536;
/** Bytes that the line of an answer may have: a lease or an event each, and a thousand leases in one event. */
export const LONGEST_ANSWER = 4_194_304;

export interface Request {
  readonly id: number;
  readonly op: string;
  readonly args: Readonly<Record<string, unknown>>;
}

export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
}

export type Answer = { readonly id: number } & (
  | { readonly item: unknown }
  | { readonly result: unknown }
  | { readonly error: Failure }
);

/** One thing that can be asked of the daemon. */
export interface Operation {
  /**
   * Does it, and gives the result; both it and the items are plain JSON. `send` resolves when there is room for the next
   * item. The signal aborts when who asked is gone, or the daemon stops. Rejects with a `WkfsError` that is told as it is.
   */
  (
    args: Readonly<Record<string, unknown>>,
    send: (item: unknown) => Promise<void>,
    signal: AbortSignal,
  ): Promise<unknown>;
}

export type Operations = Readonly<Record<string, Operation>>;

/** Reads the line of a request; undefined for what is none. */
export function readRequest(line: string): Request | undefined {
  const value = object(line);
  if (value === undefined) return undefined;
  const { id, op, args = {} } = value;
  if (typeof id !== "number" || !Number.isSafeInteger(id) || typeof op !== "string") return undefined;
  if (typeof args !== "object" || args === null || Array.isArray(args)) return undefined;
  return { id, op, args: args as Record<string, unknown> };
}

/** Reads the line of an answer; undefined for what is none. */
export function readAnswer(line: string): Answer | undefined {
  const value = object(line);
  if (value === undefined || typeof value["id"] !== "number") return undefined;
  return "item" in value || "result" in value || "error" in value ? (value as unknown as Answer) : undefined;
}

function object(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
