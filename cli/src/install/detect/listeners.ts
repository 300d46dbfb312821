import type { Program } from "./programs.ts";
import type { ListeningSocket } from "./sockets.ts";

/** A port on which something listens, with all its sockets. */
export interface Listener {
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /** Each once, in the order of the kernel. */
  readonly addresses: readonly string[];
  /** Names; empty where nobody says, which is so for other users' programs unless we are root. */
  readonly programs: readonly string[];
  /** Whether it can be reached from this host alone. */
  readonly local: boolean;
}

/** Puts sockets and programs together, ordered by port. */
export function listenersOf(sockets: readonly ListeningSocket[], programs: readonly Program[]): Listener[] {
  const owners = new Map<string, string[]>();
  for (const { name, sockets: inodes } of programs)
    for (const inode of inodes) owners.set(inode, [...(owners.get(inode) ?? []), name]);
  const byPort = Map.groupBy(sockets, ({ protocol, port }) => `${port}/${protocol}`);
  return [...byPort.values()]
    .map((group) => {
      const { protocol, port } = group[0]!;
      const addresses = [...new Set(group.map(({ address }) => address))];
      const names = group.flatMap(({ inode }) => owners.get(inode) ?? []);
      return { protocol, port, addresses, programs: [...new Set(names)], local: addresses.every(isLoopback) };
    })
    .toSorted((a, b) => a.port - b.port || a.protocol.localeCompare(b.protocol));
}

/** Programs that only answer what this host asks, or give it its address: nobody knocks for them. */
const PLUMBING =
  /^(dhclient|dhcpcd|systemd-network|systemd-resolve|systemd-timesyn|chronyd|ntpd|avahi-daemon|connmand)/;
export const WEB_SERVER = /^(nginx|apache2|httpd|caddy|lighttpd|haproxy|traefik|envoy)/;
/** What a person would not want the whole Internet to try. */
const WORTH = new Set([
  22, 1194, 1433, 1521, 2049, 2375, 3306, 3389, 5432, 5900, 5984, 6379, 8086, 9200, 11_211, 27_017,
]);

/** Whether a listener is proposed for protection: what is reached from elsewhere and is for a few people. */
export function worthProtecting({ local, port, programs }: Listener): boolean {
  return !local && (WORTH.has(port) || programs.some((name) => /^(sshd|dropbear|openvpn)/.test(name)));
}

/** Whether it makes sense to offer a listener at all. */
export function protectable({ local, programs }: Listener): boolean {
  return !local && !programs.some((name) => PLUMBING.test(name) || WEB_SERVER.test(name));
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}
