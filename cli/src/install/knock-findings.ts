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
  for (const packet of packetsTo({ tcp: [port], udp: [] }, familiesOf(listen)))
    for (const chain of filter.chains) inChain(chain, packet, rulesTakenOut(chain, firewalls, filter.chains), found);
  return found.all();
}

function inChain(chain: BaseChain, packet: Packet, out: ReadonlySet<string>, found: Findings): void {
  const all = outcomes(chain, packet, ({ text }: Rule) => out.has(text));
  const { rule } = all.at(-1)!;
  // Who is let in by a rule that asks for more than the port is the administrator's to know.
  if (all.some(({ verdict }) => verdict === "accept")) return;
  const who = rule === undefined ? `the policy of ${chain.name}` : `"${rule}" in ${chain.name}`;
  const now = out.size > 0 && outcomes(chain, packet).some(({ verdict }) => verdict === "accept");
  const what = now
    ? "will drop knocks as soon as the guard is confirmed, since what lets them in is then taken out: leave that rule, or part it"
    : "drops knocks: let that chain accept the port, or nobody can knock";
  found.add("problem", who, nameOf(packet), (names) => `${names}, on which clients knock: ${who} ${what}.`);
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
