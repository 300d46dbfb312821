import type { NetworkNamespace } from "@wkfs/core/testing";

/** A lease as the kernel holds it: `10.91.0.2 tcp/2222`, and the seconds that it has left. */
export interface HeldLease {
  readonly lease: string;
  readonly left: number;
}

/** What the tests of the main job need to know of a packet filter: they run on each. */
export interface PacketFilter {
  readonly name: "iptables" | "nftables";
  readonly programs: readonly string[];
  /** The program that leases are written with. */
  readonly writer: string;
  /** The `firewall:` section of an instance; the first entry is the one that takes IPv4. */
  section(instance: string): object[];
  leases(host: NetworkNamespace, instance: string): Promise<HeldLease[]>;
  /** What there is of an instance in the kernel: hooks, chains, sets. */
  traces(host: NetworkNamespace, instance: string): Promise<string>;
  /** What others may do to the instance `wkfs`, as commands. */
  readonly harm: readonly (readonly [what: string, commands: readonly string[][]])[];
}

/** Rules that a host has before: some of each program, none in the tables that ours may have to make. */
export const ADMIN = [
  [
    "nft",
    "add table inet mine; add chain inet mine input { type filter hook input priority 5; }; add rule inet mine input tcp dport 9 counter drop",
  ],
  ["ipset", "create", "theirs", "hash:ip"],
];
/** Everything that the packet filter shows, but for counters and the day on which it was printed. */
export async function picture(host: NetworkNamespace): Promise<string> {
  const texts = [];
  for (const argv of [["nft", "list", "ruleset"], ["iptables-save"], ["ip6tables-save"], ["ipset", "list", "-n"]])
    texts.push(`${argv.join(" ")}\n${await host.run(...argv)}`);
  return texts
    .join("\n")
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll(/\[\d+:\d+\]/g, "")
    .replaceAll(/counter packets \d+ bytes \d+/g, "counter");
}

export const iptables: PacketFilter = {
  name: "iptables",
  programs: ["iptables", "ip6tables", "ipset"],
  writer: "ipset",
  section: (chain) => ["iptables", "ip6tables"].map((use) => ({ use, mode: "guard", parent: "INPUT", chain })),
  async leases(host, instance) {
    const saved = await Promise.all(["v4", "v6"].map((family) => host.run("ipset", "save", `${instance}-${family}`)));
    return saved
      .flatMap((text) => text.split("\n"))
      .flatMap((line) => {
        const [, address, protocol, port, left] = /^add \S+ (\S+),(tcp|udp):(\d+) timeout (\d+)$/.exec(line) ?? [];
        return address === undefined ? [] : [{ lease: `${address} ${protocol}/${port}`, left: Number(left) }];
      });
  },
  async traces(host, instance) {
    const texts = await Promise.all([
      host.run("iptables-save", "-t", "filter"),
      host.run("ip6tables-save", "-t", "filter"),
      host.run("ipset", "list", "-n"),
    ]);
    return texts
      .join("\n")
      .split("\n")
      .filter((line) => line.includes(instance))
      .join("\n");
  },
  harm: [
    ["iptables -F", [["iptables", "-F"]]],
    ["the jump deleted", [["iptables", "-D", "INPUT", "1"]]],
    [
      "the chain deleted",
      [
        ["iptables", "-D", "INPUT", "1"],
        ["iptables", "-F", "wkfs"],
        ["iptables", "-X", "wkfs"],
      ],
    ],
    ["the set flushed", [["ipset", "flush", "wkfs-v4"]]],
    [
      "chain and set destroyed",
      [
        ["iptables", "-F"],
        ["iptables", "-X"],
        ["ipset", "destroy", "wkfs-v4"],
      ],
    ],
  ],
};

export const nftables: PacketFilter = {
  name: "nftables",
  programs: ["nft"],
  writer: "nft",
  section: (name) => [{ use: "nftables", mode: "guard", name }],
  async leases(host, instance) {
    const texts = await Promise.all(
      ["v4", "v6"].map((family) => host.run("nft", "list", "set", "inet", instance, `${instance}_${family}`)),
    );
    return texts.flatMap((text) =>
      [...text.matchAll(/([0-9a-f.:]+) \. (tcp|udp) \. (\d+) timeout \S+ expires (\S+?)[,\s]/g)].map(
        ([, address, protocol, port, left]) => ({ lease: `${address} ${protocol}/${port}`, left: seconds(left!) }),
      ),
    );
  },
  async traces(host, instance) {
    return (await host.run("nft", "list", "tables"))
      .split("\n")
      .filter((line) => line.endsWith(` ${instance}`))
      .join("\n");
  },
  harm: [
    ["nft flush ruleset", [["nft", "flush", "ruleset"]]],
    ["the table deleted", [["nft", "delete", "table", "inet", "wkfs"]]],
    ["the chain flushed", [["nft", "flush", "chain", "inet", "wkfs", "guard"]]],
    ["the set flushed", [["nft", "flush", "set", "inet", "wkfs", "wkfs_v4"]]],
    ["a rule put before ours", [["nft", "insert", "rule", "inet", "wkfs", "guard", "accept"]]],
  ],
};

/** `1m4s520ms` in seconds. */
function seconds(text: string): number {
  const units: Record<string, number> = { d: 86_400, h: 3600, m: 60, s: 1, ms: 0.001 };
  return [...text.matchAll(/(\d+)(ms|[dhms])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * units[unit!]!,
    0,
  );
}
