import { type FirewallEntry, takeOutOf } from "./answers.ts";
import { type BaseChain, type Outcome, type Packet, type Rule, outcomes } from "./detect/rules.ts";
import { type Finding, Findings } from "./finding.ts";
import { type Place, placeOf } from "./firewall-place.ts";
import { type Protected, nameOf, packetsTo } from "./protected.ts";

/**
 * What the rules of this host mean for a firewall of ours. It reads rules and tries nothing, so it names the rule and says
 * what follows, and never says that all is well.
 */
export function ruleFindings(entry: FirewallEntry, chains: readonly BaseChain[], ports: Protected): Finding[] {
  const place = placeOf(entry, chains);
  const found = new Findings();
  if (place === undefined) return [];
  for (const packet of packetsTo(ports, place.families)) {
    for (const chain of place.before) beforeUs(chain, packet, found);
    if (place.parent !== undefined) inParent(entry, place.parent, packet, found);
    for (const chain of place.after) afterUs(chain, packet, found);
  }
  return found.all();
}

/** A chain that comes before ours: its accept does not keep the packet from us, its drop does. */
function beforeUs(chain: BaseChain, packet: Packet, found: Findings): void {
  for (const { verdict, certain, rule } of outcomes(chain, packet)) {
    if (verdict === "accept") continue;
    const who = rule === undefined ? `the policy of ${chain.name}` : `"${rule}" in ${chain.name}`;
    const what = certain
      ? "drops the packets before our chain sees them: a knock would open nothing"
      : "drops some of the packets before our chain sees them: those clients stay outside, whatever they knock";
    found.add(certain ? "problem" : "warning", `before ${who}`, nameOf(packet), (names) => `${names}: ${who} ${what}.`);
  }
}

/** A chain of nftables that comes after ours: an accept of ours is none of its. */
function afterUs(chain: BaseChain, packet: Packet, found: Findings): void {
  const all = outcomes(chain, packet);
  const last = all.at(-1)!;
  const port = nameOf(packet);
  if (last.verdict === "drop") {
    const opened = all.find(({ verdict }) => verdict === "accept");
    const who = last.rule === undefined ? `the policy of ${chain.name}` : `"${last.rule}" in ${chain.name}`;
    const except = opened === undefined ? "" : `, but for what "${opened.rule}" lets through`;
    found.add(
      opened === undefined ? "problem" : "warning",
      `after ${who} ${except}`,
      port,
      (names) =>
        `${names}: ${who} drops the packets after our chain${except}. In nftables our accept does not override a later drop: let that chain accept the port, or hang wkfs into it with --firewall nftables --mode allow --parent "${chain.name}".`,
    );
    return;
  }
  for (const { verdict, rule } of all.slice(0, -1))
    if (verdict === "drop")
      found.add(
        "warning",
        `after ${chain.name} ${rule}`,
        port,
        (names) =>
          `${names}: "${rule}" in ${chain.name} drops some of the packets after our chain, also those that a lease is for.`,
      );
  if (last.rule !== undefined && closesOthers(chain, packet))
    found.add(
      "note",
      `keep ${chain.name} ${last.rule}`,
      port,
      (names) =>
        `${names}: keep "${last.rule}" in ${chain.name}. Our guard closes the port; what a lease lets through must still be accepted there.`,
    );
}

/** Whether the chain drops what it has no rule for. */
function closesOthers(chain: BaseChain, { protocol, family }: Packet): boolean {
  return outcomes(chain, { protocol, family, port: UNUSED }).at(-1)!.verdict === "drop";
}

/** A port that no rule is likely to be about: what it gets, every port gets. */
const UNUSED = 9;

function inParent(
  entry: FirewallEntry,
  { chain, index }: NonNullable<Place["parent"]>,
  packet: Packet,
  found: Findings,
): void {
  const out = takeOutOf(entry);
  const gone = ({ text }: Rule) => out.includes(text) || isOurs(text);
  const all = outcomes(chain, packet, gone);
  const port = nameOf(packet);
  for (const { verdict, certain, rule, index: at } of all) {
    if (rule === undefined || at >= index) continue;
    const who = `"${rule}" in ${chain.name}`;
    const some = certain ? "the" : "some of the";
    found.add(certain ? "problem" : "warning", `in ${who}`, port, (names) =>
      verdict === "drop"
        ? `${names}: ${who} drops ${some} packets before our chain: a knock would not open for them.`
        : `${names}: ${who} accepts ${some} packets before our chain: they need no knock.`,
    );
  }
  if (entry.mode !== "allow") return;
  for (const outcome of all) openAfterUs(outcome, chain, index, port, found);
}

/** In `mode: allow` rules of the administrator's have to close the port. */
function openAfterUs(
  { verdict, certain, rule, index: at }: Outcome,
  chain: BaseChain,
  index: number,
  port: string,
  found: Findings,
) {
  if (verdict === "drop" || at < index) return;
  const who = rule === undefined ? `the policy of ${chain.name}` : `"${rule}" in ${chain.name}`;
  found.add(certain ? "problem" : "warning", `open ${who}`, port, (names) =>
    certain
      ? `${names}: ${who} accepts the packets that have no lease: the port stays open for everybody. Take that out, or use --mode guard.`
      : `${names}: ${who} accepts some of the packets that have no lease: those need no knock.`,
  );
}

/** The jump of a former installation, and what stands for a rule that it took out. */
function isOurs(rule: string): boolean {
  return /(^|\s)(-m comment --comment|comment) "?wkfs(-out:\S+)?"?(\s|$)/.test(rule);
}

/** A rule that now accepts a protected port, and would have to be out in `mode: allow`. */
export interface AcceptingRule {
  /** As `takeOut` has it. */
  readonly rule: string;
  readonly ports: readonly string[];
  /** Other ports that would close with it. */
  readonly also: readonly string[];
}

/** The rules of the parent that accept protected ports, for a firewall in `mode: allow`. */
export function acceptingRules(
  entry: FirewallEntry,
  chains: readonly BaseChain[],
  ports: Protected,
  used: Protected,
): AcceptingRule[] {
  const place = placeOf(entry, chains);
  if (entry.mode !== "allow" || place?.parent === undefined) return [];
  const { rules } = place.parent.chain;
  const probes = packetsTo({ tcp: [...used.tcp, 80, 443, UNUSED], udp: [...used.udp, UNUSED] }, place.families);
  const wanted = packetsTo(ports, place.families);
  const isWanted = (packet: Packet) => wanted.some((one) => nameOf(one) === nameOf(packet));
  return rules.flatMap((rule) => {
    const accepts = (packet: Packet) =>
      rule.judge(packet).some(({ applies, action }) => applies !== "no" && action.kind === "accept");
    const named = (packets: readonly Packet[]) => [...new Set(packets.filter(accepts).map(nameOf))];
    const accepted = named(wanted);
    if (accepted.length === 0 || isOurs(rule.text)) return [];
    return [{ rule: rule.text, ports: accepted, also: named(probes.filter((packet) => !isWanted(packet))) }];
  });
}
