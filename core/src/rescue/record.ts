import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { WkfsError, messageOf } from "../model/errors.ts";
import { readWhole, writeDurably } from "./durable-file.ts";

/** How far an activation has come: on probation, then confirmed or ended; `panic`: somebody opened the ports in a hurry. */
export type Stage = "probation" | "confirmed" | "ended" | "panic";

/** What `wkfs activate` began, and what became of it: the one truth of daemon, outside timer and console. */
export interface ActivationRecord {
  /** Told anew for each activation: a timer of an earlier one leaves this one alone. */
  readonly id: string;
  readonly stage: Stage;
  /** When the probation ends, in ms since the epoch, and how long it was to last, in seconds. */
  readonly until: number;
  readonly seconds: number;
  /** The boot in which it was begun: with a reboot it is over. */
  readonly bootId: string;
  /** The configuration it was begun with, for people. Nothing is read from there because this says so. */
  readonly config: string;
  /** Whether a knock that worked confirms, or the console alone. */
  readonly confirmBy: "knock" | "console";
  /** In `panic`: what it was before; absent where nobody ever activated. */
  readonly before?: Stage | undefined;
}

/** Where the record is kept. */
export interface RecordFile {
  /** Undefined where there is none. Rejects with `STORE_FAILED` when it cannot be read or understood. */
  read(): Promise<ActivationRecord | undefined>;
  /** On disk when it resolves, and never half. Rejects with `STORE_FAILED`. */
  write(record: ActivationRecord): Promise<void>;
}

const FILE = "probation.json";
/** Bytes that a record may have. */
const LIMIT = 16_384;

const stage = z.enum(["probation", "confirmed", "ended", "panic"]);
const schema = z.object({
  id: z.string().min(1).max(64),
  stage,
  until: z.number(),
  seconds: z.number().nonnegative(),
  bootId: z.string().max(64),
  config: z.string().max(4096),
  confirmBy: z.enum(["knock", "console"]),
  before: stage.optional(),
});

/** The record in a folder of the daemon's state. Anybody may read it: who starts a daemon has to. */
export function recordIn(folder: string): RecordFile {
  const path = join(folder, FILE);
  const failed = (what: string, error: unknown): WkfsError =>
    new WkfsError("STORE_FAILED", `${what} ${path}: ${messageOf(error)}`, {
      hint: "Without it nobody knows whether the guard was confirmed. `wkfs rescue` opens the ports; `wkfs activate` begins anew.",
      cause: error,
    });
  return {
    async read() {
      try {
        const text = await readWhole(path, LIMIT);
        return text === undefined ? undefined : schema.parse(JSON.parse(text));
      } catch (error) {
        throw failed("cannot read", error);
      }
    },
    async write(record) {
      try {
        await writeDurably(path, `${JSON.stringify(record, undefined, 2)}\n`, 0o644);
      } catch (error) {
        throw failed("cannot write", error);
      }
    },
  };
}

/** For a daemon that has no folder: nobody can have activated it. */
export const noRecord: RecordFile = {
  read: async () => undefined,
  write: async () => {},
};

/** A record of something that begins now. */
export function newRecord(parts: Omit<ActivationRecord, "id">): ActivationRecord {
  return { ...parts, id: randomUUID() };
}

/**
 * Which boot of this host this is, 32 hexadecimal digits; `unknown` where nobody says. A service that sees nothing of /proc but
 * processes (`ProcSubset=pid`) is told by its unit, as WKFS_BOOT_ID.
 */
export async function currentBoot(): Promise<string> {
  const read = readFile("/proc/sys/kernel/random/boot_id", "utf8");
  const text = await read.catch(() => process.env["WKFS_BOOT_ID"] ?? "unknown");
  return text.trim().replaceAll("-", "");
}
