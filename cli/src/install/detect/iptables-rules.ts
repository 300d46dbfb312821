import type { Action, Applies, BaseChain, Judgement, Packet, Rule } from "./rules.ts";

/** What `iptables-save` prints of the filter table, as far as new connections are concerned. iptables-extensions(8). */

/** The chain INPUT with all that it can call; undefined where the text has none. */
export function parseInput(saved: string, of: "iptables" | "ip6tables", parent = "INPUT"): BaseChain | undefined {
  const chains = new Map<string, string[]>();
  let policy: BaseChain["policy"] = "accept";
  let filter = false;
  for (const line of saved.split("\n")) {
    if (line.startsWith("*")) filter = line === "*filter";
    const [, declared, said, named, rule = ""] = /^(?::(\S+) (\S+)|-A (\S+) ?(.*)$)/.exec(line) ?? [];
    if (!filter || (declared ?? named) === undefined) continue;
    if (declared !== undefined) chains.set(declared, chains.get(declared) ?? []);
    else chains.set(named!, [...(chains.get(named!) ?? []), rule]);
    if (declared === "INPUT" && said === "DROP") policy = "drop";
  }
  const input = chains.get(parent);
  if (input === undefined) return undefined;
  const rulesOf = (rules: readonly string[]) => rules.map((rule) => ruleOf(rule, chains));
  return {
    name: `${of} ${parent}`,
    of,
    hook: "input",
    priority: 0,
    families: [of === "iptables" ? "ipv4" : "ipv6"],
    policy,
    rules: rulesOf(input),
    chains: new Map([...chains].map(([chain, rules]) => [chain, rulesOf(rules)])),
  };
}

function ruleOf(text: string, chains: ReadonlyMap<string, unknown>): Rule {
  const words = [...text.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, bare]) => bare ?? quoted!);
  return { text, judge: (packet) => [judge(words, packet, chains)] };
}

/** Modules that only bring options, or that match every packet. */
const HARMLESS = ["tcp", "udp", "multiport", "comment", "conntrack", "state"];

function judge(words: readonly string[], packet: Packet, chains: ReadonlyMap<string, unknown>): Judgement {
  let applies: Applies = "yes";
  let action: Action = { kind: "none" };
  const narrow = (other: Applies) => {
    if (other === "no" || (other === "maybe" && applies === "yes")) applies = other;
  };
  let not = false;
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at]!;
    const value = words[at + 1] ?? "";
    const negated = not;
    not = false;
    const test = (found: boolean) => narrow(found === negated ? "no" : "yes");
    switch (word) {
      case "!":
        not = true;
        continue;
      case "-p":
        test([packet.protocol, "all"].includes(value));
        break;
      case "--dport":
      case "--dports":
        test(value.split(",").some((range) => holds(range, packet.port)));
        break;
      case "--ctstate":
      case "--state":
        test(value.split(",").includes("NEW"));
        break;
      case "-i":
        // Any interface but the loopback's may be the one.
        if (value === "lo") test(false);
        else narrow("maybe");
        break;
      case "--tcp-flags":
        narrow(value === "FIN,SYN,RST,ACK" && words[at + 2] === "SYN" && !negated ? "yes" : "maybe");
        at += 1;
        break;
      case "--comment":
        break;
      case "--reject-with":
      case "--log-prefix":
      case "--log-level":
        break;
      case "-m":
        if (!HARMLESS.includes(value)) narrow("maybe");
        break;
      case "-j":
      case "-g":
        action = actionOf(word, value, chains);
        break;
      default:
        // Some option that depends on what is not known, such as `-s`. Those of a target change nothing any more.
        if (action.kind === "none") narrow("maybe");
        at += value.startsWith("-") || value === "!" ? -1 : 0;
    }
    at += 1;
  }
  return { applies, action };
}

function actionOf(option: string, target: string, chains: ReadonlyMap<string, unknown>): Action {
  if (target === "ACCEPT") return { kind: "accept" };
  if (["DROP", "REJECT", "TARPIT"].includes(target)) return { kind: "drop" };
  if (target === "RETURN") return { kind: "return" };
  if (chains.has(target)) return { kind: option === "-g" ? "goto" : "jump", chain: target };
  return { kind: "none" };
}

function holds(range: string, port: number): boolean {
  const [from = "", to = from] = range.split(":");
  return Number(from || 0) <= port && port <= Number(to || 65_535);
}
