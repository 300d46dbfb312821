import { spawn } from "node:child_process";
import { constants } from "node:os";
import { messageOf } from "@wkfs/core";
import type { Client, ClientEvent, KnockResult } from "@wkfs/core/client";
import { formatTime } from "../open-report.ts";

/** Milliseconds that the closing may take: the program is over, and whoever started it waits for us. */
const CLOSE_LIMIT = 5000;
/** What a shell says of a program that it cannot find, and of one that it may not run. */
const NOT_FOUND = 127;
const NOT_RUN = 126;
/** What is handed on. */
const SIGNALS = ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
/** What a terminal sends to the program itself as well; twice would be once too often. */
const OF_TERMINAL: ReadonlySet<string> = new Set(["SIGINT", "SIGQUIT"]);

type Tell = (line: string) => void;

/** Resolves when ports are open, and they stay so; rejects with what the first knock failed with, and the client is stopped. */
export async function keepOpen(client: Client): Promise<KnockResult> {
  const first = Promise.withResolvers<KnockResult>();
  client.once("opened", ({ result }) => first.resolve(result));
  client.once("failed", ({ error }) => first.reject(error));
  client.start().catch(first.reject);
  try {
    return await first.promise;
  } catch (error) {
    await client.stop();
    throw error;
  }
}

/** Tells once that ports could not be renewed, and once that they are open again. */
export function troubleReport(tell: Tell): (event: ClientEvent) => void {
  let trouble = false;
  return (event) => {
    if (event.type === "failed" && !trouble) tell(`the ports could not be renewed: ${messageOf(event.error)}`);
    if (event.type === "opened" && trouble) tell("the ports are open again");
    trouble = event.type === "failed";
  };
}

/** Runs a program with our own standard streams, and gives its exit code: 128 and the number of the signal that ended it. */
export async function runProgram([program = "", ...args]: readonly string[], tell: Tell): Promise<number> {
  const child = spawn(program, args, { stdio: "inherit" });
  const handOn = (signal: NodeJS.Signals): void => {
    if (!(OF_TERMINAL.has(signal) && process.stdin.isTTY)) child.kill(signal);
  };
  for (const signal of SIGNALS) process.on(signal, handOn);
  try {
    return await new Promise((resolve) => {
      child.once("error", (error: NodeJS.ErrnoException) => {
        tell(`cannot run ${program}: ${error.message}`);
        resolve(error.code === "ENOENT" ? NOT_FOUND : NOT_RUN);
      });
      child.once("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal!]));
    });
  } finally {
    for (const signal of SIGNALS) process.off(signal, handOn);
  }
}

/** Gives back what was opened, by another client than the one that opened it and has ended. That it cannot be done is told, and is no failure of the program that ran. */
export async function giveBack(
  make: () => Promise<Client>,
  { ports, expires }: KnockResult,
  tell: Tell,
): Promise<void> {
  const numbers = (protocol: "tcp" | "udp") =>
    ports.flatMap(({ port, opened }) => (opened && port.protocol === protocol ? port.number : []));
  try {
    const client = await make();
    await client.closePorts({ tcp: numbers("tcp"), udp: numbers("udp") }, AbortSignal.timeout(CLOSE_LIMIT));
  } catch (error) {
    tell(`${messageOf(error)}; the ports shut by themselves at ${formatTime(expires)}`);
  }
}
