import { describe, expect, it } from "vitest";
import { parseInput } from "./iptables-rules.ts";
import { listenersOf, worthProtecting } from "./listeners.ts";
import { parseHooks } from "./nft-rules.ts";
import { otherFirewalls } from "./others.ts";
import { hasRules } from "./packet-filter.ts";
import { type BaseChain, outcomes } from "./rules.ts";
import { parseSocketTable } from "./sockets.ts";

/** As `/proc/net/tcp6` of a Debian host has it. */
const TCP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 118 1 0 100 0 0 10 0
   1: 00000000000000000000000001000000:0019 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 119 1 0 100 0 0 10 0
   2: 000080FE00000000FF005450B6AD1DFE:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 120 1 0 100 0 0 10 0
   3: 0000000000000000FFFF00000200000A:0016 0000000000000000FFFF00000300000A:C001 01 00000000:00000000 00:00000000 00000000     0        0 121 1 0 100 0 0 10 0
`;
const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 117 1 0 100 0 0 10 0
   1: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   105        0 122 1 0 100 0 0 10 0
`;
const UDP = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  300: 00000000:04AA 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 130 2 0 0
  301: 0200000A:B001 01010101:0035 01 00000000:00000000 00:00000000 00000000     0        0 131 2 0 0
`;

describe("the kernel's tables of sockets", () => {
  it("give those that take what comes from elsewhere, with their addresses", () => {
    expect(parseSocketTable(TCP6, "tcp", "ipv6").map(({ address, port, inode }) => [address, port, inode])).toEqual([
      ["::", 443, "118"],
      ["::1", 25, "119"],
      ["fe80::5054:ff:fe1d:adb6", 22, "120"],
    ]);
    expect(parseSocketTable(UDP, "udp", "ipv4")).toMatchObject([{ address: "0.0.0.0", port: 1194, inode: "130" }]);
    expect(parseSocketTable("", "tcp", "ipv4")).toEqual([]);
  });

  it("give ports with programs; what only this host reaches is not proposed", () => {
    const sockets = [...parseSocketTable(TCP, "tcp", "ipv4"), ...parseSocketTable(TCP6, "tcp", "ipv6")];
    const programs = [
      { pid: 1, name: "systemd", sockets: ["117"] },
      { pid: 2, name: "sshd", sockets: ["117", "120"] },
      { pid: 3, name: "postgres", sockets: ["122"] },
    ];
    const found = listenersOf(sockets, programs);
    expect(found.map(({ port, programs: names, local }) => [port, names.join("+"), local])).toEqual([
      [22, "systemd+sshd", false],
      [25, "", true],
      [443, "", false],
      [5432, "postgres", true],
    ]);
    expect(found.filter(worthProtecting).map(({ port }) => port)).toEqual([22]);
  });
});

/** What may happen, in words. */
function fate(base: BaseChain, port: number, protocol: "tcp" | "udp" = "tcp", family: "ipv4" | "ipv6" = "ipv4") {
  return outcomes(base, { protocol, family, port }).map(
    ({ verdict, certain, rule }) => `${certain ? "" : "perhaps "}${verdict}: ${rule ?? "policy"}`,
  );
}

describe("rules of iptables", () => {
  const input = (rules: string, policy = "DROP") =>
    parseInput(`*filter\n:INPUT ${policy} [0:0]\n:ours - [0:0]\n:other - [0:0]\n${rules}\nCOMMIT\n`, "iptables")!;

  it.each([
    ["a port", "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT", ["accept: -p tcp -m tcp --dport 22 -j ACCEPT"]],
    ["another port", "-A INPUT -p tcp -m tcp --dport 23 -j ACCEPT", ["drop: policy"]],
    ["another protocol", "-A INPUT -p udp -m udp --dport 22 -j ACCEPT", ["drop: policy"]],
    [
      "a range",
      "-A INPUT -p tcp -m multiport --dports 80,20:25 -j REJECT --reject-with tcp-reset",
      ["drop: -p tcp -m multiport --dports 80,20:25 -j REJECT --reject-with tcp-reset"],
    ],
    ["all but the port", "-A INPUT -p tcp -m tcp ! --dport 22 -j ACCEPT", ["drop: policy"]],
    [
      "new connections",
      "-A INPUT -m conntrack --ctstate NEW -j ACCEPT",
      ["accept: -m conntrack --ctstate NEW -j ACCEPT"],
    ],
    ["those that stand", "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", ["drop: policy"]],
    ["the loopback", "-A INPUT -i lo -j ACCEPT", ["drop: policy"]],
    ["all but the loopback", "-A INPUT ! -i lo -j ACCEPT", ["accept: ! -i lo -j ACCEPT"]],
    ["a sender", "-A INPUT -s 10.0.0.0/8 -j ACCEPT", ["perhaps accept: -s 10.0.0.0/8 -j ACCEPT", "drop: policy"]],
    ["all but a sender", "-A INPUT ! -s 10.0.0.0/8 -j DROP", ["perhaps drop: ! -s 10.0.0.0/8 -j DROP", "drop: policy"]],
    ["a log", '-A INPUT -p tcp -j LOG --log-prefix "a -j ACCEPT b"', ["drop: policy"]],
    [
      "a set",
      "-A INPUT -m set --match-set bad src -j DROP",
      ["perhaps drop: -m set --match-set bad src -j DROP", "drop: policy"],
    ],
    [
      "a comment",
      '-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "not for -s me" -j ACCEPT',
      ['accept: -p tcp -m tcp --dport 22 -m comment --comment "not for -s me" -j ACCEPT'],
    ],
    ["a chain", "-A INPUT -j ours\n-A ours -p tcp -j RETURN\n-A ours -j ACCEPT", ["drop: policy"]],
    [
      "a chain that some go into",
      "-A INPUT -i eth0 -j ours\n-A ours -j ACCEPT",
      ["perhaps accept: -j ACCEPT", "drop: policy"],
    ],
    ["a chain without a way back", "-A INPUT -g ours\n-A INPUT -j ACCEPT", ["drop: policy"]],
    ["a loop", "-A INPUT -j ours\n-A ours -j other\n-A other -j ours", ["drop: policy"]],
  ])("%s", (_, rules, expected) => {
    expect(fate(input(rules), 22)).toEqual(expected);
  });

  it("of the other family are none of a packet's, and another table is none of the filter's", () => {
    expect(fate(input("-A INPUT -j DROP"), 22, "tcp", "ipv6")).toEqual(["accept: policy"]);
    expect(parseInput("*nat\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n", "iptables")).toBeUndefined();
    expect([hasRules("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"), hasRules(":INPUT DROP [0:0]\n")]).toEqual([
      false,
      true,
    ]);
  });
});

describe("other firewalls", () => {
  it("are seen by what they have in the packet filter, or run", async () => {
    const seen = (texts: string[], names: string[] = []) =>
      otherFirewalls(
        texts,
        names.map((name) => ({ pid: 1, name, sockets: [] })),
        "/nowhere",
      );
    expect(await seen([":ufw-before-input - [0:0]\n", ":DOCKER - [0:0]\n", "table inet firewalld {\n"])).toEqual({
      firewalld: true,
      ufw: true,
      docker: true,
    });
    expect(await seen([], ["firewalld", "dockerd"])).toEqual({ firewalld: true, ufw: false, docker: true });
    expect(await seen(["table inet filter {\n"], ["sshd"])).toEqual({ firewalld: false, ufw: false, docker: false });
  });
});

it("what is no JSON of nft is an error, and not an empty ruleset", () => {
  expect(() => parseHooks("{}", "")).toThrow(/nftables/);
});
