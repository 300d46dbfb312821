import { formatPort, includesPort, isPortNumber, type ProtectedPorts } from "@wkfs/core";
import type { OtherFirewalls } from "../install/detect/others.ts";
import { type Found, error, note, ok, warning } from "./finding.ts";

export interface OthersFacts {
  readonly others: OtherFirewalls;
  /** Whether iptables-legacy has rules beside those of the `iptables` of this host. */
  readonly legacyBeside: boolean;
  /** What `iptables-save` and `ip6tables-save` print. */
  readonly texts: readonly string[];
  readonly protect: ProtectedPorts;
}

export function otherFindings({ others, legacyBeside, texts, protect }: OthersFacts): Found[] {
  const found: Found[] = [];
  for (const { port, to } of forwardedPorts(texts).filter((one) => includesPort(protect, one.port)))
    found.push(
      error(
        `${formatPort(port)} is open to everybody: it is forwarded to ${to}${others.docker ? ", by Docker it seems," : ""} and never comes to INPUT, where we guard`,
        `docker run -p 127.0.0.1:${port.number}:…  # or a rule in the chain DOCKER-USER`,
      ),
    );
  if (legacyBeside)
    found.push(
      warning(
        "iptables-legacy has rules beside those of nftables; a packet must pass both",
        "iptables-legacy-save  # move them over, and then: iptables-legacy -F",
      ),
    );
  if (others.firewalld)
    found.push(
      note(
        "firewalld is here: in nftables its drop holds against our accept, so leave the protected ports open in it",
        portsCommand("firewall-cmd --permanent --add-port=", protect),
      ),
    );
  if (others.ufw)
    found.push(note("ufw is here: our chain stands before its rules, which have no effect on the protected ports"));
  if (others.docker)
    found.push(note("Docker is here: what containers publish is forwarded past INPUT and not guarded"));
  return found.length > 0 ? found : [ok("no other firewall is here, and no protected port is forwarded elsewhere")];
}

/** Ports whose packets are sent on to somewhere else before INPUT sees them. */
export function forwardedPorts(
  texts: readonly string[],
): { readonly port: { readonly protocol: "tcp" | "udp"; readonly number: number }; readonly to: string }[] {
  const found = new Map<string, ReturnType<typeof forwardedPorts>[number]>();
  for (const line of texts.flatMap((text) => text.split("\n"))) {
    const [, protocol] = /^-A \S+ .*-p (tcp|udp) /.exec(line) ?? [];
    const number = Number(/--dport (\d+) /.exec(line)?.[1]);
    const to = / -j (?:DNAT --to-destination|REDIRECT --to-ports) (\S+)/.exec(line)?.[1];
    // What is published on the loopback alone is nobody else's.
    if (to === undefined || !isPortNumber(number) || / -d 127\./.test(line)) continue;
    const port = { protocol: protocol === "udp" ? "udp" : "tcp", number } as const;
    found.set(`${formatPort(port)} ${to}`, { port, to });
  }
  return [...found.values()];
}

function portsCommand(start: string, { tcp, udp }: ProtectedPorts): string {
  const [port] = [...tcp.map((number) => `${number}/tcp`), ...udp.map((number) => `${number}/udp`)];
  return `${start}${port ?? "PORT/tcp"}`;
}
