import { z } from "zod";
import type { Action, Applies, BaseChain, Judgement, Packet, Rule } from "./rules.ts";

/**
 * What `nft --json list ruleset` prints, as far as new connections are concerned. The texts of rules come from
 * `nft --handle list ruleset`, since nobody recognises a rule as JSON. libnftables-json(5).
 */

const named = { family: z.string(), name: z.string(), table: z.string() };
const listing = z.object({
  nftables: z.array(
    z.object({
      chain: z
        .object({
          ...named,
          type: z.string().optional(),
          hook: z.string().optional(),
          prio: z.number().optional(),
          policy: z.string().optional(),
        })
        .optional(),
      rule: z
        .object({
          family: z.string(),
          table: z.string(),
          chain: z.string(),
          handle: z.number(),
          comment: z.string().optional(),
          expr: z.array(z.record(z.string(), z.unknown())).default([]),
        })
        .optional(),
    }),
  ),
});

const FAMILIES: Readonly<Record<string, readonly Packet["family"][]>> = {
  inet: ["ipv4", "ipv6"],
  ip: ["ipv4"],
  ip6: ["ipv6"],
};

type Expressions = readonly Readonly<Record<string, unknown>>[];

/**
 * The chains that see what comes in, in the order of the kernel. Tables that iptables made are left out: its rules are not
 * whole in this form, and `iptables-save` prints them.
 */
export function parseHooks(json: string, text: string): BaseChain[] {
  const { nftables } = listing.parse(JSON.parse(json));
  const chains = nftables.flatMap(({ chain }) => chain ?? []);
  const rules = nftables.flatMap(({ rule }) => rule ?? []);
  const texts = textsOf(text);
  const rulesIn = ({ family, table, name }: { family: string; table: string; name: string }): Rule[] =>
    rules
      .filter((rule) => rule.family === family && rule.table === table && rule.chain === name)
      .map(({ expr, handle, comment }) => ({
        text: texts.get(`${family} ${table} ${handle}`) ?? comment ?? `rule ${handle} of ${family} ${table} ${name}`,
        judge: (packet) => judge(expr, packet),
      }));
  return chains
    .flatMap((chain): BaseChain[] => {
      const { family, table, name, hook, prio = 0, policy, type } = chain;
      const families = FAMILIES[family];
      const seen = type === "filter" && (hook === "input" || hook === "prerouting");
      if (!seen || families === undefined || madeByIptables(chain)) return [];
      const own = chains.filter((other) => other.family === family && other.table === table);
      return [
        {
          name: `${family} ${table} ${name}`,
          of: "nftables",
          hook,
          priority: prio,
          families,
          policy: policy === "drop" ? "drop" : "accept",
          rules: rulesIn(chain),
          chains: new Map(own.map((other) => [other.name, rulesIn(other)])),
        },
      ];
    })
    .toSorted((a, b) => b.hook.localeCompare(a.hook) || a.priority - b.priority);
}

/** Its tables and chains have these names and no others. */
function madeByIptables({ family, table, name }: { family: string; table: string; name: string }): boolean {
  return (
    family !== "inet" &&
    ["filter", "raw", "mangle", "security", "nat"].includes(table) &&
    ["INPUT", "PREROUTING"].includes(name)
  );
}

/** Each rule as nft prints it, by table and handle. */
function textsOf(text: string): Map<string, string> {
  const texts = new Map<string, string>();
  let table = "";
  for (const line of text.split("\n")) {
    table = /^table (\S+ \S+) \{/.exec(line)?.[1] ?? table;
    const [, rule, handle] = /^\t\t(\S.*) # handle (\d+)$/.exec(line) ?? [];
    if (rule !== undefined) texts.set(`${table} ${handle}`, rule);
  }
  return texts;
}

function judge(expressions: Expressions, packet: Packet): Judgement[] {
  let applies = "yes" as Applies;
  let actions: Judgement[] = [];
  const narrow = (other: Applies) => {
    if (other === "no" || (other === "maybe" && applies === "yes")) applies = other;
  };
  for (const expression of expressions) {
    for (const [name, value] of Object.entries(expression)) {
      const verdict = verdictOf(name, value);
      if (verdict !== undefined) actions = [{ applies: "yes", action: verdict }];
      else if (name === "match") narrow(matches(value, packet));
      else if (name === "vmap") actions = chosenBy(value, packet);
      else if (!["counter", "log", "mangle", "notrack", "set"].includes(name)) narrow("maybe");
    }
  }
  if (applies === "no") return [];
  return actions.map((one) => (applies === "maybe" ? { ...one, applies } : one));
}

function verdictOf(name: string, value: unknown): Action | undefined {
  switch (name) {
    case "accept":
      return { kind: "accept" };
    case "drop":
    case "reject":
      return { kind: "drop" };
    case "return":
      return { kind: "return" };
    case "continue":
      return { kind: "none" };
    case "jump":
    case "goto":
      return { kind: name, chain: (value as { readonly target: string }).target };
    default:
      return undefined;
  }
}

interface Match {
  readonly op: string;
  readonly left: unknown;
  readonly right: unknown;
}

function matches(value: unknown, packet: Packet): Applies {
  const { op, left, right } = value as Match;
  const known = knownOf(left, packet);
  if (known === "other") return "no";
  if (known === undefined) return "maybe";
  const found = among(right, known);
  if (found === "maybe") return "maybe";
  return (op === "!=") === (found === "yes") ? "no" : "yes";
}

/** What the packet has there: a value, or that it has no such thing; undefined where that is not known. */
function knownOf(left: unknown, packet: Packet): string | number | "other" | undefined {
  if (typeof left !== "object" || left === null) return undefined;
  const { payload, meta, ct } = left as Readonly<Record<string, { readonly [key: string]: unknown } | undefined>>;
  if (payload !== undefined) {
    const { protocol, field } = payload;
    if (protocol === "tcp" || protocol === "udp" || protocol === "th") {
      if (protocol !== "th" && protocol !== packet.protocol) return "other";
      return field === "dport" ? packet.port : undefined;
    }
    if (protocol === "ip" || protocol === "ip6") {
      if ((protocol === "ip") !== (packet.family === "ipv4")) return "other";
      return field === "protocol" || field === "nexthdr" ? packet.protocol : undefined;
    }
    return /^(icmp|icmpv6|igmp|sctp|dccp|esp|ah|arp)$/.test(String(protocol)) ? "other" : undefined;
  }
  if (meta !== undefined) {
    if (meta["key"] === "l4proto") return packet.protocol;
    if (meta["key"] === "nfproto") return packet.family;
    if (meta["key"] === "iif" || meta["key"] === "iifname") return INTERFACE;
    return undefined;
  }
  return ct?.["key"] === "state" ? "new" : undefined;
}

/** Some interface that is not the loopback's. */
const INTERFACE = "(any but lo)";

function among(right: unknown, known: string | number): Applies {
  if (typeof right === "string" && right.startsWith("@")) return "maybe";
  if (Array.isArray(right)) return any(right.map((one) => among(one, known)));
  if (typeof right === "object" && right !== null) {
    if ("set" in right) return among(Array.isArray(right.set) ? right.set : [right.set], known);
    if ("elem" in right) return among((right.elem as { readonly val: unknown }).val, known);
    if ("range" in right) {
      const [from, to] = right.range as readonly [number, number];
      return typeof known !== "number" ? "maybe" : from <= known && known <= to ? "yes" : "no";
    }
    return "maybe";
  }
  if (known === INTERFACE) return right === "lo" ? "no" : "maybe";
  return right === known ? "yes" : "no";
}

function any(all: readonly Applies[]): Applies {
  return all.includes("yes") ? "yes" : all.includes("maybe") ? "maybe" : "no";
}

/** What a verdict map may have for the packet. */
function chosenBy(value: unknown, packet: Packet): Judgement[] {
  const { key, data } = value as { readonly key: unknown; readonly data: unknown };
  const known = knownOf(key, packet);
  if (known === "other") return [];
  const entries = typeof data === "object" && data !== null && "set" in data ? data.set : undefined;
  // A map with a name, whose elements are not read: the worst of what it may say.
  if (!Array.isArray(entries)) return [{ applies: "maybe", action: { kind: "drop" } }];
  return (entries as readonly (readonly [unknown, Readonly<Record<string, unknown>>])[]).flatMap(([match, verdict]) => {
    const applies = known === undefined ? "maybe" : among(match, known);
    const [name = "", target] = Object.entries(verdict)[0] ?? [];
    return applies === "no" ? [] : [{ applies, action: verdictOf(name, target) ?? { kind: "none" } }];
  });
}
