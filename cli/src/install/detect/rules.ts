/** What a packet filter does to the first packet of a new connection, read from its rules and not tried. */

/** A packet from another host, whose address nobody knows. */
export interface Packet {
  readonly protocol: "tcp" | "udp";
  readonly family: "ipv4" | "ipv6";
  readonly port: number;
}

/** Whether a rule is for the packet: `maybe` where it depends on what is not known, such as the sender. */
export type Applies = "yes" | "maybe" | "no";

export type Action =
  | { readonly kind: "accept" | "drop" | "return" | "none" }
  | { readonly kind: "jump" | "goto"; readonly chain: string };

export interface Judgement {
  readonly applies: Applies;
  readonly action: Action;
}

export interface Rule {
  /** As the program prints it. */
  readonly text: string;
  /** What it does to the packet: each in turn, where it depends on what is not known which. */
  judge(packet: Packet): readonly Judgement[];
}

/** A chain that the kernel calls. */
export interface BaseChain {
  /** `inet filter input`, or `iptables INPUT`. */
  readonly name: string;
  /** Which program's it is: with what is changed, and whether an accept ends the hook. */
  readonly of: "nftables" | "iptables" | "ip6tables";
  readonly hook: "prerouting" | "input";
  /** Lower comes earlier. */
  readonly priority: number;
  readonly families: readonly Packet["family"][];
  readonly policy: "accept" | "drop";
  readonly rules: readonly Rule[];
  /** Chains that can be called, by name. */
  readonly chains: ReadonlyMap<string, readonly Rule[]>;
}

/** One thing that may happen to the packet in a chain. */
export interface Outcome {
  readonly verdict: "accept" | "drop";
  /** False where it depends on what is not known. */
  readonly certain: boolean;
  /** The rule that says so; undefined for the policy. */
  readonly rule: string | undefined;
  /** Which rule of the base chain it is, or leads there. */
  readonly index: number;
}

/** Calls of one another that are followed; the kernel takes 16. */
const DEPTH = 16;
/** Rules that are looked at for one packet: a ruleset of bans has many, and each is one of `maybe`. */
const LOOKED_AT = 200_000;

/** What may happen to the packet, in order; the last one is certain. Rules for which `skip` says so are passed over. */
export function outcomes(base: BaseChain, packet: Packet, skip: (rule: Rule) => boolean = () => false): Outcome[] {
  if (!base.families.includes(packet.family)) return [{ verdict: "accept", certain: true, rule: undefined, index: 0 }];
  const found: Outcome[] = [];
  let left = LOOKED_AT;

  /** Walks a chain; tells whether the packet surely does not come back from it, or whether all ends here. */
  function walk(rules: readonly Rule[], depth: number, sure: boolean, top: number | undefined): "ended" | "back" {
    for (const [at, rule] of rules.entries()) {
      const index = top ?? at;
      if (skip(rule) || (left -= 1) < 0) continue;
      for (const judgement of rule.judge(packet)) {
        const end = follow(judgement, rule, depth, sure, index);
        if (end !== "on") return end;
      }
    }
    return "back";
  }

  function follow(
    { applies, action }: Judgement,
    { text }: Rule,
    depth: number,
    sure: boolean,
    index: number,
  ): "ended" | "back" | "on" {
    if (applies === "no" || action.kind === "none") return "on";
    const certain = sure && applies === "yes";
    // What is beyond a rule for all is not reached.
    const next = applies === "yes" ? "back" : "on";
    if (action.kind === "return") return next;
    if (action.kind === "accept" || action.kind === "drop") {
      found.push({ verdict: action.kind, certain, rule: text, index });
      return certain ? "ended" : next;
    }
    if (!("chain" in action) || depth >= DEPTH) return "on";
    const end = walk(base.chains.get(action.chain) ?? [], depth + 1, certain, index);
    return end === "ended" ? end : action.kind === "goto" ? next : "on";
  }

  if (walk(base.rules, 0, true, undefined) !== "ended")
    found.push({ verdict: base.policy, certain: true, rule: undefined, index: base.rules.length });
  return found;
}
