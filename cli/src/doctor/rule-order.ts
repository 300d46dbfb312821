import { formatPort, type ProtectedPorts } from "@wkfs/core";
import { type BaseChain, type Packet, type Rule, outcomes } from "../install/detect/rules.ts";
import { type Found, error, ok, warning } from "./finding.ts";

/** Where one of our packet filters hangs, as its configuration says. */
export interface Hook {
  readonly use: string;
  readonly mode: "guard" | "allow";
  readonly families: readonly Packet["family"][];
  /** The base chain that it is, or that calls ours. */
  readonly base: string;
  /** The chain that is called from there; undefined where the kernel itself calls ours. */
  readonly called: string | undefined;
}

/** Reads the checked configuration of a bundled plugin; undefined for others. */
export function hookOf(use: string, config: Readonly<Record<string, unknown>>): Hook | undefined {
  const mode = config["mode"] === "allow" ? "allow" : "guard";
  if (use === "nftables") {
    if (mode === "guard")
      return { use, mode, families: ["ipv4", "ipv6"], base: `inet ${String(config["name"])} guard`, called: undefined };
    const { family, table, chain } = config["parent"] as Readonly<Record<"family" | "table" | "chain", string>>;
    const families =
      family === "inet" ? (["ipv4", "ipv6"] as const) : family === "ip" ? (["ipv4"] as const) : (["ipv6"] as const);
    return { use, mode, families, base: `${family} ${table} ${chain}`, called: String(config["name"]) };
  }
  if (use !== "iptables" && use !== "ip6tables") return undefined;
  const families = [use === "iptables" ? "ipv4" : "ipv6"] as const;
  return { use, mode, families, base: `${use} ${String(config["parent"])}`, called: String(config["chain"]) };
}

/** How many rules and ports are named in full. */
const SHOWN = 3;

/**
 * What happens to a client with a lease and to one without, by all chains in the order of the kernel. An `accept` ends a chain
 * and no more: a later one of the same hook may still drop. A `drop` is the end.
 */
export function orderFindings(hook: Hook, chains: readonly BaseChain[], protect: ProtectedPorts): Found[] {
  const at = chains.findIndex(({ name }) => name === hook.base);
  const base = chains[at];
  const index =
    base === undefined || hook.called === undefined ? 0 : base.rules.findIndex((rule) => calls(rule, hook.called!));
  if (base === undefined || index < 0)
    return [error(`${hook.use}: its hook is not in the kernel, and nothing guards`, "systemctl restart wkfs-daemon")];
  const found = new Map<string, { readonly make: (ports: string) => Found; readonly ports: Set<string> }>();
  const tell = (key: string, packet: Packet, make: (ports: string) => Found) => {
    const one = found.get(key) ?? { make, ports: new Set<string>() };
    one.ports.add(formatPort({ protocol: packet.protocol, number: packet.port }));
    found.set(key, one);
  };
  for (const packet of packets(hook, protect)) {
    const own = outcomes(base, packet, (rule) => rule === base.rules[index] && hook.called !== undefined);
    if (hook.called !== undefined) {
      for (const outcome of own.filter((one) => one.index < index)) {
        const rule = outcome.rule ?? "its policy";
        if (outcome.verdict === "accept" && outcome.certain)
          tell(`open ${rule}`, packet, (ports) =>
            error(`${ports} is open to everybody: ${base.name} accepts before our chain: ${rule}`, removal(base, rule)),
          );
        else if (outcome.verdict === "drop" && outcome.certain)
          tell(`shut ${rule}`, packet, (ports) =>
            error(
              `${ports} stays shut for an open lease: ${base.name} drops before our chain: ${rule}`,
              removal(base, rule),
            ),
          );
      }
    }
    const last = own.at(-1);
    // The guard drops by itself; where we only allow, somebody else must.
    if (hook.mode === "allow" && last?.verdict === "accept" && last.index >= index)
      tell(`allow ${last.rule}`, packet, (ports) =>
        error(
          `${ports} is open to everybody: ${base.name} accepts it without a lease: ${last.rule ?? "its policy"}`,
          last.rule === undefined
            ? `use \`mode: guard\`, or let ${base.name} drop by itself`
            : removal(base, last.rule),
        ),
      );
    for (const other of chains.filter((one) => one !== base)) {
      const others = outcomes(other, packet);
      const end = others.at(-1);
      if (end?.verdict !== "drop") continue;
      const some = others.some(({ verdict }) => verdict === "accept");
      const why = `${other.name} drops it${end.rule === undefined ? " by its policy" : `: ${end.rule}`}`;
      tell(`other ${other.name} ${some}`, packet, (ports) =>
        (some ? warning : error)(
          `${ports} stays shut for an open lease${some ? ", but for those whom other rules let through" : ""}: ${why}, and an accept of ours does not override that`,
          acceptance(other, packet),
        ),
      );
    }
  }
  const faults = [...found.values()].map(({ make, ports }) => make(named([...ports])));
  return faults.length > 0 ? faults : [ok(`${hook.use}: no rule before or after ours opens or shuts a protected port`)];
}

function packets({ families }: Hook, protect: ProtectedPorts): Packet[] {
  return families.flatMap((family) =>
    (["tcp", "udp"] as const).flatMap((protocol) => protect[protocol].map((port) => ({ protocol, family, port }))),
  );
}

function calls({ text }: Rule, chain: string): boolean {
  const words = text.split(/\s+/);
  return words.some((word, index) => ["-j", "-g", "jump", "goto"].includes(word) && words[index + 1] === chain);
}

function removal({ of, name }: BaseChain, rule: string): string {
  if (of !== "nftables") return `${of} -D ${name.split(" ")[1]} ${rule}`;
  return `nft --handle list chain ${name}  # and: nft delete rule ${name} handle N`;
}

function acceptance({ of, name }: BaseChain, { protocol, port }: Packet): string {
  return of === "nftables"
    ? `nft insert rule ${name} ${protocol} dport ${port} accept  # our guard still drops what has no lease`
    : `${of} -I ${name.split(" ")[1]} -p ${protocol} --dport ${port} -j ACCEPT  # our guard still drops what has no lease`;
}

function named(ports: readonly string[]): string {
  const more = ports.length - SHOWN;
  return ports.slice(0, SHOWN).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
