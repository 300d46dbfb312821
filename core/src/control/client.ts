/** `@wkfs/core/control`: asks a running daemon. Loads nothing of the daemon. */
import { type Socket, connect } from "node:net";
import { strangerFault } from "../host/folder.ts";
import { WkfsError, messageOf } from "../model/errors.ts";
import { Lines } from "./lines.ts";
import { type Answer, LONGEST_ANSWER, readAnswer } from "./messages.ts";

/** One question to a daemon that runs, or one order. */
export interface ControlCall {
  /** The daemon's socket. */
  readonly path: string;
  readonly op: string;
  readonly args?: Readonly<Record<string, unknown>>;
  /** Called for each item, in order. */
  readonly onItem?: (item: unknown) => void;
  /** Ends the call; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Asks the daemon one thing, and gives its result. Rejects with `DAEMON_UNREACHABLE` when nobody answers there, with
 * `CONTROL_FAILED` when the answer makes no sense, and else with the error that the daemon gave.
 */
export async function controlCall({ path, op, args = {}, onItem, signal }: ControlCall): Promise<unknown> {
  const socket = await connected(path);
  try {
    signal?.throwIfAborted();
    return await new Promise((resolve, reject) => {
      const lines = new Lines(LONGEST_ANSWER);
      signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      socket.on("error", reject);
      socket.once("close", () => reject(brokenOff(path)));
      socket.on("data", (piece: Buffer) => {
        const whole = lines.take(piece);
        for (const line of whole ?? [""]) {
          const answer = readAnswer(line);
          if (answer === undefined) return reject(senseless(path));
          if ("item" in answer) onItem?.(answer.item);
          else if ("result" in answer) resolve(answer.result);
          else reject(told(answer));
        }
      });
      socket.write(`${JSON.stringify({ id: 1, op, args })}\n`);
    });
  } finally {
    socket.destroy();
  }
}

async function connected(path: string): Promise<Socket> {
  try {
    const fault = await strangerFault(path);
    if (fault !== undefined) throw new Error(`somebody else could have put it there: ${fault}`);
    return await new Promise((resolve, reject) => {
      const socket = connect({ path });
      socket.once("connect", () => resolve(socket));
      socket.once("error", reject);
    });
  } catch (error) {
    throw new WkfsError("DAEMON_UNREACHABLE", `no daemon answers on ${path}: ${messageOf(error)}`, {
      hint:
        error instanceof Error && "code" in error && error.code === "EACCES"
          ? "Run this as root, or as a member of the group that control.group names."
          : "Start it (`wkfs daemon`, or `systemctl start wkfs-daemon`); its log says why it does not run.",
      cause: error,
    });
  }
}

function told({ error }: Extract<Answer, { readonly error: unknown }>): WkfsError {
  const { code, message, hint } = error;
  return new WkfsError(code, message, hint === undefined ? {} : { hint });
}

function brokenOff(path: string): WkfsError {
  return new WkfsError("DAEMON_UNREACHABLE", `the daemon broke off the connection to ${path}`, {
    hint: "It stopped, or has too many connections of this kind; its log says which.",
  });
}

function senseless(path: string): WkfsError {
  return new WkfsError("CONTROL_FAILED", `what answers on ${path} does not speak as a wkfs daemon does`, {
    hint: "Use the wkfs command of the same version as the daemon.",
  });
}
