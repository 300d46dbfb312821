import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAddress } from "@wkfs/core";

/** A socket that takes what comes from elsewhere, as the kernel lists it. proc(5), `/proc/net/tcp`. */
export interface ListeningSocket {
  readonly protocol: "tcp" | "udp";
  readonly family: "ipv4" | "ipv6";
  /** `0.0.0.0` and `::` for all of the host's. */
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

const TABLES = [
  { file: "tcp", protocol: "tcp", family: "ipv4" },
  { file: "tcp6", protocol: "tcp", family: "ipv6" },
  { file: "udp", protocol: "udp", family: "ipv4" },
  { file: "udp6", protocol: "udp", family: "ipv6" },
] as const;

/** `TCP_LISTEN` of the kernel. */
const LISTEN = "0A";
/** `TCP_CLOSE`, which is what a UDP socket without a peer is in. */
const UNCONNECTED = "07";

/** The listening sockets of a network namespace: of ours, or of that of the process whose folder below `/proc` is given. */
export async function listeningSockets(process = "/proc/self"): Promise<ListeningSocket[]> {
  const tables = TABLES.map(async ({ file, protocol, family }) => {
    // A kernel without IPv6 has no such table.
    const text = await readFile(join(process, "net", file), "latin1").catch(() => "");
    return parseSocketTable(text, protocol, family);
  });
  return (await Promise.all(tables)).flat();
}

/** Reads one of the tables. */
export function parseSocketTable(
  text: string,
  protocol: ListeningSocket["protocol"],
  family: ListeningSocket["family"],
): ListeningSocket[] {
  const wanted = protocol === "tcp" ? LISTEN : UNCONNECTED;
  return text.split("\n").flatMap((line) => {
    const [, local = "", remote = "", state, , , , , , inode] = line.trim().split(/\s+/);
    const [address = "", port = ""] = local.split(":");
    if (state !== wanted || inode === undefined || !remote.endsWith(":0000")) return [];
    return [{ protocol, family, address: addressOf(address), port: Number.parseInt(port, 16), inode }];
  });
}

/** The kernel prints addresses as words of 32 bits in the byte order of the machine, which is little-endian wherever Node runs. */
function addressOf(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => [...Buffer.from(word, "hex")].toReversed());
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((bytes[2 * index]! << 8) | bytes[2 * index + 1]!).toString(16),
  );
  // What listens on `::ffff:…` or on all addresses is no address that a lease can be for, and is printed all the same.
  try {
    return parseAddress(groups.join(":")).text;
  } catch {
    return groups.every((group) => group === "0") ? "::" : groups.join(":");
  }
}
