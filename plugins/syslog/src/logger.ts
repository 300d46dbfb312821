import { stat } from "node:fs/promises";
import { type EventType, messageOf } from "@wkfs/core";
import { runProgram } from "@wkfs/exec";
import { FACILITIES, type SyslogConfig } from "./config.ts";
import type { Entry } from "./entries.ts";
import { priority } from "./message.ts";

/** Bytes of one message; logger(1) would cut at 1024. */
const MESSAGE_SIZE = 4096;

/** What kind of entry it is, for ever: `journalctl MESSAGE_ID=…` finds all of a kind. */
const MESSAGE_IDS: Readonly<Record<EventType, string>> = {
  opened: "cd75cb8c065344d9a4a13967b6580be4",
  renewed: "320176c50b0d452d846c3ca67285cd01",
  expired: "b2821af3f7084b4e88c5cd04066cc885",
  closed: "0dcf6c1d99e04580847b4fedd8d13c2e",
  refused: "3dc8627b81504103830ff0768bb1156a",
  healed: "71ec95bc9c604357aa498122950c3c7d",
  failed: "036e3f1ffe2740249b8053bec82878eb",
  started: "4205cf09300b4ae88a032fc8fb2174a9",
  stopped: "3f1615bce98b4e058915f494b56e78d6",
};

/**
 * Sockets of the host's own log take datagrams only, and Node has no Unix socket of that kind: logger(1) of util-linux writes
 * to them. A line that it reads begins with its priority, ours, so nothing in a text is taken for one.
 */
export async function writeToSocket(
  path: string,
  entries: readonly Entry[],
  { facility, tag, logger }: Pick<SyslogConfig, "facility" | "tag" | "logger">,
  end: AbortSignal,
): Promise<void> {
  const argv = [logger, "--socket", path, "--socket-errors=on", "--tag", tag, `--id=${process.pid}`];
  const input = entries.map((entry) => `${priority(facility, entry)}${entry.text}\n`).join("");
  await run([...argv, "--prio-prefix", `--size=${MESSAGE_SIZE}`], input, end);
}

/** One process an entry: it takes one at a time. */
export async function writeToJournal(
  socket: string,
  host: string,
  entries: readonly Entry[],
  { facility, tag, logger }: Pick<SyslogConfig, "facility" | "tag" | "logger">,
  end: AbortSignal,
): Promise<void> {
  // Without journald its library says that all is well.
  await stat(socket).catch((error: unknown) => {
    throw new Error(`journald does not run: ${messageOf(error)}`);
  });
  for (const { type, severity, time, text, fields } of entries) {
    const lines = [
      ["MESSAGE", text],
      ["MESSAGE_ID", MESSAGE_IDS[type]],
      ["PRIORITY", severity],
      ["SYSLOG_FACILITY", FACILITIES[facility]],
      ["SYSLOG_IDENTIFIER", tag],
      ["SYSLOG_PID", process.pid],
      ["WKFS_HOST", host],
      ["WKFS_TIME", time],
      ...fields.map(([name, value]) => [`WKFS_${name.toUpperCase()}`, value]),
    ];
    await run([logger, "--journald"], lines.map(([name, value]) => `${name}=${value}\n`).join(""), end);
  }
}

async function run(argv: readonly string[], input: string, end: AbortSignal): Promise<void> {
  const { started, status, signal, error } = await runProgram(argv, { input, end });
  // It has status 0 also when it could not send: then only what it says tells.
  if (status === 0 && error === "") return;
  const how = !started
    ? "cannot be started"
    : status === null
      ? `was ended by ${signal}`
      : `ended with status ${status}`;
  throw new Error(`${argv[0]} ${how}${error === "" ? "" : `: ${error.trim()}`}`);
}
