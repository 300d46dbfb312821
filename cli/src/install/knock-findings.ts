import { type FirewallEntry, type ServerAnswers, takeOutOf } from "./answers.ts";
import type { Host } from "./detect/host.ts";
import { type BaseChain, type Packet, type Rule, outcomes } from "./detect/rules.ts";
import { type Finding, Findings } from "./finding.ts";
import { placeOf } from "./firewall-place.ts";
import { nameOf, packetsTo } from "./protected.ts";

/**
 * Whether knocks come in at all, by the rules of this host as they are once the guard was confirmed: what a firewall then takes out may be
 * what lets knocks in, and during the probation it is still there. `port`: the one of this host that clients knock on.
 */
export function knockFindings({ listen, firewalls }: ServerAnswers, { filter }: Host, port: number): Finding[] {
  const found = new Findings();
  const packets = packetsTo({ tcp: [port], udp: [] }, familiesOf(listen));
  const dropped = packets.map((packet) =>
    filter.chains.flatMap((chain) => {
      const what = dropIn(chain, packet, rulesTakenOut(chain, firewalls, filter.chains));
      return what === undefined ? [] : [what];
    }),
  );
  const everywhere = dropped.every((whats) => whats.length > 0);
  for (const [index, packet] of packets.entries()) {
    const whom = everywhere ? "" : packet.family === "ipv4" ? " over IPv4" : " over IPv6";
    for (const what of dropped[index]!)
      found.add(
        everywhere ? "problem" : "warning",
        what,
        nameOf(packet),
        (names) => `${names}, on which clients knock${whom}: ${what}.`,
      );
  }
  return found.all();
}

/** Says what drops the packet for sure in this chain; undefined where nothing does. */
function dropIn(chain: BaseChain, packet: Packet, out: ReadonlySet<string>): string | undefined {
  const all = outcomes(chain, packet, ({ text }: Rule) => out.has(text));
  const { rule } = all.at(-1)!;
  // Who is let in by a rule that asks for more than the port is the administrator's to know.
  if (all.some(({ verdict }) => verdict === "accept")) return undefined;
  const who = rule === undefined ? `the policy of ${chain.name}` : `"${rule}" in ${chain.name}`;
  const now = out.size > 0 && outcomes(chain, packet).some(({ verdict }) => verdict === "accept");
  return now
    ? `${who} will drop knocks as soon as the guard is confirmed, since what lets them in is then taken out: leave that rule, or part it`
    : `${who} drops knocks: let that chain accept the port`;
}

function rulesTakenOut(
  chain: BaseChain,
  firewalls: readonly FirewallEntry[],
  chains: readonly BaseChain[],
): ReadonlySet<string> {
  const here = firewalls.filter((entry) => placeOf(entry, chains)?.parent?.chain === chain);
  return new Set(here.filter(({ mode }) => mode === "allow").flatMap(takeOutOf));
}

/** By which families the gateway can be reached; a web server before it is taken to listen on both. */
function familiesOf(listen: string): readonly Packet["family"][] {
  if (listen.startsWith("0.0.0.0:")) return ["ipv4"];
  return ["ipv4", "ipv6"];
}
