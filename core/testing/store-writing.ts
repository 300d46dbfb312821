import { spawn } from "node:child_process";
import { once } from "node:events";
import { extname } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { StoreChange } from "../src/contracts/store.ts";
import { parseAddress } from "../src/model/address.ts";
import type { Lease } from "../src/model/lease.ts";

/** How another process makes a store. */
export interface StoreProgram {
  /** URL of a module whose default export is called with the argument and gives the store, or a promise of it. */
  readonly module: string;
  readonly argument: string;
}

const NOW = Date.UTC(2026, 0, 1);
// Beside this file, and compiled when this one is.
const WRITER = fileURLToPath(new URL(`store-writer${extname(import.meta.url)}`, import.meta.url));

/** The `number`th change of a writer: each part of it replaces that of the one before, so all must tell the same number. */
export function stepOf(number: number): StoreChange {
  const before = number - 1;
  return {
    put: leasesOf(number),
    append: [{ type: "started", time: NOW, leases: number }],
    enqueue: [{ id: `n${number}`, notifier: "mail", event: { type: "stopped", time: NOW } }],
    ...(before >= 0 && { remove: leasesOf(before), dequeue: [`n${before}`] }),
  };
}

function leasesOf(number: number): Lease[] {
  return [number, number + 0x80_00].map((host) => ({
    address: parseAddress(`10.9.${host >> 8}.${host & 255}`),
    port: { protocol: "tcp", number: 22 },
    client: "x".repeat(2000),
    openedAt: NOW,
    deadline: NOW + number,
  }));
}

/**
 * Lets a process write changes from `first` on and kills it `delay` milliseconds after it has said that `last` is written, so that
 * it dies in another part of a write each time. Gives the last that it said.
 */
export async function killedWriter(
  { module, argument }: StoreProgram,
  first: number,
  last: number,
  delay: number,
): Promise<number> {
  const child = spawn(process.execPath, [WRITER, module, argument, String(first)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  let said = -1;
  try {
    for await (const line of createInterface(child.stdout)) {
      said = Number(line);
      if (said === last) setTimeout(() => child.kill("SIGKILL"), delay);
    }
  } finally {
    child.kill("SIGKILL");
  }
  await exited;
  if (child.signalCode !== "SIGKILL")
    throw new Error(`the writer ended by itself after ${said}, with ${child.exitCode}`);
  return said;
}
