/** The protected port of the story. */
export const PORT = 2222;

/** The actors of the story in one address family. */
export interface Family {
  readonly name: "IPv4" | "IPv6";
  /** The program that shows the kernel's rules, which is also the name of the firewall plugin. */
  readonly tables: "iptables" | "ip6tables";
  readonly server: string;
  /** The address that knocks, and another one of the same host. */
  readonly client: string;
  readonly other: string;
  readonly length: number;
}

export const FAMILIES: readonly Family[] = [
  { name: "IPv4", tables: "iptables", server: "10.91.0.1", client: "10.91.0.2", other: "10.91.0.3", length: 24 },
  { name: "IPv6", tables: "ip6tables", server: "fd91::1", client: "fd91::2", other: "fd91::3", length: 64 },
];

/** A host and a port as they stand in a URL. */
export function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
