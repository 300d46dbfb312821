import { type Address, type Network, networkContains, parseAddress, parseNetwork } from "../model/address.ts";

/** Most hops of an `X-Forwarded-For` that are looked at. */
const MOST_HOPS = 32;

/**
 * Whose knock it is. The peer of the connection, unless that is a trusted proxy: then the right-most hop of
 * `X-Forwarded-For` that is none. What stands further left was written by strangers and is not looked at. The peer of a
 * unix socket has no address and is a proxy on this host, trusted by the mode of the socket.
 *
 * Undefined when there is no telling: a proxy that sent no address, or one that is none.
 */
export class ClientAddresses {
  readonly #trusted: readonly Network[];

  constructor(trustedProxies: readonly string[]) {
    this.#trusted = trustedProxies.map(parseNetwork);
  }

  of(peer: string | undefined, forwardedFor: string | undefined): Address | undefined {
    const from = peer === undefined ? undefined : read(peer);
    if (peer !== undefined && (from === undefined || !this.#trusts(from))) return from;
    // From the right: whatever a stranger puts to the left must not push out what our proxies wrote.
    const hops = (forwardedFor ?? "").split(",").slice(-MOST_HOPS);
    for (const hop of hops.toReversed()) {
      const address = read(hop.trim());
      if (address === undefined || !this.#trusts(address)) return address;
    }
    return undefined;
  }

  #trusts(address: Address): boolean {
    return this.#trusted.some((network) => networkContains(network, address));
  }
}

function read(text: string): Address | undefined {
  try {
    return parseAddress(text);
  } catch {
    return undefined;
  }
}
