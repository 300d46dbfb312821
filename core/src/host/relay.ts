/** What a relay leads to. */
export interface RelayTarget {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * The Unix socket by which a connection to this host and port goes; undefined: straight there. A service manager that lets a process make no
 * IP sockets leads to what it may reach by relays, and says in `WKFS_RELAYS` where these are. TLS, and whose certificate is
 * looked at, stay what they are without one.
 */
export function relayTo({ host, port }: RelayTarget, environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const key = `${host}:${port}=`;
  const words = (environment["WKFS_RELAYS"] ?? "").split(" ");
  return words.find((word) => word.startsWith(key))?.slice(key.length);
}

/** What `WKFS_RELAYS` has to say. Neither hosts nor paths hold a space. */
export function relayWords(relays: readonly (RelayTarget & { readonly path: string })[]): string {
  return relays.map(({ host, port, path }) => `${host}:${port}=${path}`).join(" ");
}
