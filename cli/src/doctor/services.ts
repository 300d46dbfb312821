import type { ProtectedPorts } from "@wkfs/core";
import type { Listener } from "../install/detect/listeners.ts";
import { type Found, error, note, ok, warning } from "./finding.ts";

export interface ServicesFacts {
  readonly protect: ProtectedPorts;
  readonly listeners: readonly Listener[];
  /** The families that the configured firewalls guard. */
  readonly guarded: readonly ("ipv4" | "ipv6")[];
  /** Whether this host has an IPv6 address that others can reach. */
  readonly ipv6: boolean;
}

/** Whether something listens behind the guard at all, and whether it does so over a family that nobody guards. */
export function serviceFindings({ protect, listeners, guarded, ipv6 }: ServicesFacts): Found[] {
  const found = (["tcp", "udp"] as const).flatMap((protocol) =>
    protect[protocol].flatMap((port): Found[] => {
      const listener = listeners.find((one) => one.protocol === protocol && one.port === port);
      const name = `${protocol}/${port}`;
      if (listener === undefined)
        return [note(`nothing listens on ${name}`, `ss -lnp 'sport = :${port}'  # is the service up?`)];
      const who = listener.programs.join(", ") || "something";
      if (listener.local) return [note(`${who} listens on ${name} for this host alone: nobody can knock for it`)];
      return [ok(`${who} listens on ${name}`)];
    }),
  );
  const reached = listeners.filter(
    ({ protocol, port, addresses }) =>
      protect[protocol].includes(port) && addresses.some((address) => address.includes(":") && address !== "::1"),
  );
  const add = "add ip6tables to firewall in the configuration, or use nftables";
  if (!guarded.includes("ipv4"))
    found.push(
      error("no configured firewall guards IPv4", "add iptables to firewall in the configuration, or use nftables"),
    );
  if (guarded.includes("ipv6")) found.push(ok("IPv6 is guarded too"));
  else if (ipv6 && reached.length > 0)
    found.push(
      error(
        `nobody guards IPv6, over which ${reached.map(({ protocol, port }) => `${protocol}/${port}`).join(", ")} can be reached`,
        add,
      ),
    );
  else if (ipv6) found.push(warning("nobody guards IPv6, and this host has addresses of it", add));
  else found.push(note("nobody guards IPv6; this host has no address of it", add));
  return found;
}
