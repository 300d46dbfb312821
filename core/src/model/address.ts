import ipaddr from "ipaddr.js";
import { WkfsError } from "./errors.ts";

/** IPv4 or IPv6; of an IPv4-mapped address the former. */
export type AddressFamily = "ipv4" | "ipv6";

/**
 * What a lease is for, on the network's side: a prefix with a length. Today every length is that of
 * a single host (32 or 128). `text` is canonical (RFC 5952 for IPv6; never IPv4-mapped, no zone), so
 * two addresses are the same when their texts and lengths are.
 */
export interface Address {
  readonly family: AddressFamily;
  /** Canonical, without the length: `192.0.2.7`, `2001:db8::7`. */
  readonly text: string;
  /** Prefix length in bits: 32 or 128 for a host. */
  readonly length: number;
}

/** An IPv4 or IPv6 network, as it stands in `trustedProxies`. */
export interface Network {
  readonly family: AddressFamily;
  /** Canonical, without the length; bits beyond it count for nothing. */
  readonly text: string;
  /** Prefix length in bits, 0 to 32 or 128. */
  readonly length: number;
}

const HOST_LENGTH = { ipv4: 32, ipv6: 128 } as const;
/** ipaddr.js ranges that no packet of a distant client can come from, or that are nobody's own. */
const NOT_A_CLIENT = new Set(["unspecified", "broadcast", "multicast"]);

/**
 * Reads one IP address in its usual notation. IPv4-mapped IPv6 (`::ffff:192.0.2.1`) is IPv4; a zone
 * (`%eth0`) is dropped. Octal, hexadecimal and shortened IPv4 forms are refused, as are prefixes.
 * Throws `ADDRESS_INVALID`.
 */
export function parseAddress(text: string): Address {
  // The usual case, of which a busy server sees thousands a second: it is canonical as it stands.
  if (isPlainIPv4(text)) return { family: "ipv4", text, length: 32 };
  const parsed = parse(text);
  if (parsed === undefined || NOT_A_CLIENT.has(parsed.range())) {
    throw new WkfsError("ADDRESS_INVALID", `${JSON.stringify(text.slice(0, 64))} is no address of a host`, {
      hint: "Give one IPv4 or IPv6 address, such as 192.0.2.7 or 2001:db8::7.",
    });
  }
  const family = parsed.kind();
  return { family, text: print(parsed), length: HOST_LENGTH[family] };
}

/** Dotted decimal of a host that is no exception: 1 to 223 in front, so nothing unspecified, multicast or broadcast. */
function isPlainIPv4(text: string): boolean {
  return /^(?:[1-9]\d?|1\d\d|2[01]\d|22[0-3])(?:\.(?:0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])){3}$/.test(text);
}

/** Reads `address/length`, or an address alone for a network of one host. Throws `ADDRESS_INVALID`. */
export function parseNetwork(text: string): Network {
  const [host = "", length, ...rest] = text.split("/");
  const parsed = parse(host);
  const bits = length === undefined || !/^\d{1,3}$/.test(length) ? undefined : Number(length);
  const most = parsed && HOST_LENGTH[parsed.kind()];
  if (
    parsed === undefined ||
    most === undefined ||
    rest.length > 0 ||
    (length !== undefined && (bits === undefined || bits > most))
  ) {
    throw new WkfsError("ADDRESS_INVALID", `${JSON.stringify(text.slice(0, 64))} is no network`, {
      hint: "Give a network such as 10.0.0.0/8, 2001:db8::/32 or a single address.",
    });
  }
  return { family: parsed.kind(), text: print(parsed), length: bits ?? most };
}

/** True when the address is of the same family and within. */
export function networkContains(network: Network, address: Address): boolean {
  if (network.family !== address.family) return false;
  const host = ipaddr.parse(address.text);
  const base = ipaddr.parse(network.text);
  if (host instanceof ipaddr.IPv4 && base instanceof ipaddr.IPv4) return host.match(base, network.length);
  if (host instanceof ipaddr.IPv6 && base instanceof ipaddr.IPv6) return host.match(base, network.length);
  return false;
}

/** The notation of a prefix; a single host stands without its length. */
export function formatAddress(address: Address): string {
  return address.length === HOST_LENGTH[address.family] ? address.text : `${address.text}/${address.length}`;
}

function parse(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  if (text.length > 64) return undefined;
  const bare = text.replace(/%[\w.-]{1,32}$/, "");
  if (ipaddr.IPv4.isValidFourPartDecimal(bare)) return ipaddr.IPv4.parse(bare);
  if (!bare.includes(":") || !ipaddr.IPv6.isValid(bare)) return undefined;
  const address = ipaddr.IPv6.parse(bare);
  return address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

/** ipaddr.js prints RFC 5952 with `toRFC5952String`, and IPv4 with `toString`. */
function print(address: ipaddr.IPv4 | ipaddr.IPv6): string {
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
}
