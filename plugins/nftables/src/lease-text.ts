import {
  type FirewallChange,
  type KernelLease,
  type LeaseKey,
  WkfsError,
  isPortNumber,
  leaseId,
  parseAddress,
} from "@wkfs/core";
import type { Layout } from "./layout.ts";

/** How leases are written to nft as elements of a set, and read back. */

/** Largest timeout in seconds: nft reads eight digits. */
export const MAX_TIMEOUT = 99_999_999;
/**
 * The kernel counts in ticks of 1 to 10 ms, cuts off what is less, and the one that it counts from may be nearly over: two
 * more of the longest keep an element to its deadline, and it is late by no more.
 */
export const STEP = 20;
/** Numbers: a name would be looked up in a file for every lease. */
const PROTOCOLS = { tcp: 6, udp: 17 } as const;
/** Elements that are read in one turn of the event loop. */
const TURN = 2000;

/**
 * The commands that make a change. What was not open before is made by `create`, which the kernel refuses when it is there all
 * the same (`File exists`): one command in place of three, and a third of the time. For the rest: `add` of an element with the timeout that it has is silently nothing, and `delete` of one
 * that is absent an error; `add; delete; add` renews what is there and makes what is not, and its first two close either.
 */
export function changeCommands(layout: Layout, { open, close, before }: FirewallChange, now: number): string {
  const commands: string[] = [];
  const known = new Set(before.map(leaseId));
  for (const [family, set] of layout.sets) {
    const target = `${layout.table.family} ${layout.table.name} ${set}`;
    // The last one counts, and a key stands once: nft refuses to delete twice.
    const ends = new Map<string, { readonly element: string; readonly left: number }>();
    for (const key of close)
      if (key.address.family === family) ends.set(leaseId(key), { element: elementOf(key), left: 0 });
    const closed = new Set(ends.keys());
    for (const lease of open)
      if (lease.address.family === family)
        ends.set(leaseId(lease), { element: elementOf(lease), left: lease.deadline - now });
    const keys: string[] = [];
    const added: string[] = [];
    const created: string[] = [];
    for (const [id, { element, left }] of ends) {
      const there = known.has(id) || closed.has(id);
      if (there) keys.push(element);
      // A lease that has ended meanwhile is not opened again; and a timeout of 0 would be no end at all.
      if (left > 0) (there ? added : created).push(`${element} timeout ${timeoutOf(left)}`);
    }
    if (keys.length > 0) commands.push(elements("add", target, keys), elements("delete", target, keys));
    if (added.length > 0) commands.push(elements("add", target, added));
    if (created.length > 0) commands.push(elements("create", target, created));
  }
  return commands.join("");
}

/** A line an element: nft repeats the line that an error is in. */
function elements(command: "add" | "create" | "delete", target: string, lines: readonly string[]): string {
  return `${command} element ${target} {\n${lines.join(",\n")}\n}\n`;
}

/** `192.0.2.7 . 6 . 22` */
export function elementOf({ address, port }: LeaseKey): string {
  return `${address.text} . ${PROTOCOLS[port.protocol]} . ${port.number}`;
}

function timeoutOf(left: number): string {
  const given = Math.ceil(left) + STEP;
  return `${Math.floor(given / 1000)}s${given % 1000}ms`;
}

/**
 * Reads what `nft --json list set` prints. `now` is the time at which the kernel was asked. It looks for the elements in the
 * text, in turns: JSON.parse keeps the event loop for 0.1 s at 100,000.
 */
export async function parseElements(json: string, now: number): Promise<KernelLease[]> {
  const leases: KernelLease[] = [];
  const mark = '"concat":';
  for (let at = json.indexOf(mark), read = 1; at >= 0; read += 1) {
    const next = json.indexOf(mark, at + mark.length);
    const lease = leaseOf(json.slice(at + mark.length, next < 0 ? undefined : next), now);
    if (lease !== undefined) leases.push(lease);
    if (read % TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    at = next;
  }
  return leases;
}

/** Reads ` ["192.0.2.7", 6, 22]}, "timeout": 60, "expires": 59}}, …`; undefined for an element that wkfs did not write. */
function leaseOf(text: string, now: number): KernelLease | undefined {
  const [, address, protocol, port] = /^\s*\[\s*"([0-9a-f.:]+)",\s*"?(\w+)"?,\s*"?(\w+)"?\s*\]/.exec(text) ?? [];
  if (address === undefined) {
    // Never "nothing is open" because nft has learnt to print otherwise.
    throw new WkfsError(
      "FIREWALL_FAILED",
      `\`nft --json list set\` printed an element in a form unknown to wkfs: ${text.slice(0, 80)}`,
      {
        hint: "Report it with the output of `nft --version`.",
      },
    );
  }
  const name =
    protocol === "6" || protocol === "tcp" ? "tcp" : protocol === "17" || protocol === "udp" ? "udp" : undefined;
  const number = Number(port);
  if (name === undefined || !isPortNumber(number)) return undefined;
  const known = addressOf(address);
  if (known === undefined) return undefined;
  const expires = /"expires":\s*(\d+)/.exec(text)?.[1];
  // Whole seconds are printed, cut off: half a second is the middle of what it can be. One without an end
  // reads as the latest end of all, so that it is seen to be wrong.
  const left = expires === undefined ? MAX_TIMEOUT * 1000 : Number(expires) * 1000 + 500;
  const lease = { address: known, port: { protocol: name, number }, deadline: now + left } as const;
  const [, packets, bytes] = /"counter":\s*\{\s*"packets":\s*(\d+),\s*"bytes":\s*(\d+)/.exec(text) ?? [];
  return packets === undefined ? lease : { ...lease, counters: { packets: Number(packets), bytes: Number(bytes) } };
}

/** The kernel's notation is canonical but for the IPv4 part of some IPv6 addresses; ipaddr.js takes 0.3 s for 100,000. */
function addressOf(text: string): KernelLease["address"] | undefined {
  if (!text.includes(":")) return { family: "ipv4", text, length: 32 };
  if (!text.includes(".")) return { family: "ipv6", text, length: 128 };
  const address = parseAddress(
    text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
      [a * 256 + Number(b), c * 256 + Number(d)].map((group) => group.toString(16)).join(":"),
    ),
  );
  return address.family === "ipv6" ? address : undefined;
}
