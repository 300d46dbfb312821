import { type Counters, type LeaseKey, isPortNumber, parseAddress } from "@wkfs/core";

/** How a lease is written to the kernel and read back: as an element of a set, and as a rule of a chain. */

/** `10.0.0.2,tcp:22`, as ipset prints it. */
export function formatElement({ address, port }: LeaseKey): string {
  return `${address.text},${port.protocol}:${port.number}`;
}

/** Reads `10.0.0.2,tcp:22 timeout 60 packets 3 bytes 90`; undefined for an element that wkfs did not write. Seconds. */
export function parseElement(
  line: string,
): { readonly key: LeaseKey; readonly timeout: number; readonly counters: Counters | undefined } | undefined {
  const [, address, protocol, port, timeout, packets, bytes] =
    /^(\S+),(tcp|udp):(\d+) timeout (\d+)(?: packets (\d+) bytes (\d+))?$/.exec(line) ?? [];
  const key = keyOf(address, protocol, port);
  const counters = packets === undefined ? undefined : { packets: Number(packets), bytes: Number(bytes) };
  return key && { key, timeout: Number(timeout), counters };
}

/** The rule as iptables-save prints it, without its `-A CHAIN`. */
export function formatRule({ address, port }: LeaseKey): string {
  return `-s ${address.text}/${address.length} -p ${port.protocol} -m ${port.protocol} --dport ${port.number} -j ACCEPT`;
}

/** The lease that a rule is; undefined for a rule that wkfs did not write. */
export function parseRule(rule: string): LeaseKey | undefined {
  const [, address, protocol, port] =
    /^-s (\S+)\/(?:32|128) -p (tcp|udp) -m (?:tcp|udp) --dport (\d+) -j ACCEPT$/.exec(rule) ?? [];
  return keyOf(address, protocol, port);
}

function keyOf(
  address: string | undefined,
  protocol: string | undefined,
  port: string | undefined,
): LeaseKey | undefined {
  const number = Number(port);
  if (address === undefined || (protocol !== "tcp" && protocol !== "udp") || !isPortNumber(number)) return undefined;
  try {
    return { address: parseAddress(address), port: { protocol, number } };
  } catch {
    return undefined;
  }
}
