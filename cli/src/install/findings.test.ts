import { describe, expect, it } from "vitest";
import type { FirewallEntry, ServerAnswers } from "./answers.ts";
import type { Host } from "./detect/host.ts";
import type { BaseChain } from "./detect/rules.ts";
import { parseInput } from "./detect/iptables-rules.ts";
import { findings } from "./host-findings.ts";
import { proposedFirewalls } from "./proposal.ts";
import { ruleFindings } from "./rule-findings.ts";
import { offeredRules } from "./wish.ts";

const PORTS = { tcp: [22], udp: [] };
const GUARD: FirewallEntry = { use: "iptables", mode: "guard", parent: "INPUT", chain: "wkfs" };
const NFT: FirewallEntry = { use: "nftables", mode: "guard" };

function input(...rules: string[]): BaseChain {
  const policy = rules.includes("DROP") ? "DROP" : "ACCEPT";
  const lines = rules.filter((rule) => rule !== "DROP").map((rule) => `-A INPUT ${rule}`);
  return parseInput(`*filter\n:INPUT ${policy} [0:0]\n${lines.join("\n")}\nCOMMIT\n`, "iptables")!;
}

/** A chain of nftables, of rules as iptables writes them: what is looked at of a rule is the same. */
function native(priority: number, ...rules: string[]): BaseChain {
  return { ...input(...rules), name: "inet filter input", of: "nftables", priority, families: ["ipv4", "ipv6"] };
}

const said = (entry: FirewallEntry, ...chains: BaseChain[]) =>
  ruleFindings(entry, chains, PORTS).map(({ level, text }) => `${level} ${text}`);

const SSH = "-p tcp -m tcp --dport 22 -j ACCEPT";
const NO_SSH = "-p tcp -m tcp --dport 22 -j DROP";
const OFFICE = "-s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT";

describe("what the rules mean", () => {
  it.each<[string, string[], RegExp[]]>([
    ["a guard of iptables before everything", said(GUARD, input(NO_SSH, "DROP")), []],
    [
      "a chain of nftables that drops before it",
      said(GUARD, native(-100, NO_SSH)),
      [/^problem tcp\/22: .* drops the packets before our chain/],
    ],
    [
      "one that drops some",
      said(GUARD, native(-100, "-s 192.0.2.0/24 -j DROP")),
      [/^warning tcp\/22: .* drops some of the packets before/],
    ],
    ["one that accepts before it", said(GUARD, native(-100, SSH)), []],
    [
      "one that drops after it",
      said(GUARD, native(0, "DROP")),
      [/^problem tcp\/22: the policy of inet filter input drops .*--mode allow/],
    ],
    ["a guard of nftables before what lets in", said(NFT, native(0, SSH, "DROP")), [/^note tcp\/22: keep /]],
    ["before what lets in some", said(NFT, native(0, OFFICE, "DROP")), [/^warning .* but for what /]],
    ["before what closes", said(NFT, native(0, "DROP")), [/^problem .* does not override a later drop/]],
    ["before what lets in all", said(NFT, native(0)), []],
    [
      "allow, and nothing closes",
      said({ ...GUARD, mode: "allow" }, input()),
      [/^problem .* the policy of iptables INPUT accepts .* stays open for everybody/],
    ],
    [
      "allow, and a rule lets in",
      said({ ...GUARD, mode: "allow" }, input(SSH, "DROP")),
      [/^problem .* stays open for everybody/],
    ],
    ["allow, and it is out", said({ ...GUARD, mode: "allow", takeOut: [SSH] }, input(SSH, "DROP")), []],
    [
      "allow, and some need no knock",
      said({ ...GUARD, mode: "allow" }, input(OFFICE, "DROP")),
      [/^warning .* those need no knock/],
    ],
    [
      "allow behind what drops",
      said({ ...GUARD, mode: "allow", position: 2 }, input(NO_SSH, SSH, "DROP")),
      [/^problem .* drops the packets before our chain/],
    ],
    [
      "a parent behind what accepts",
      said({ ...GUARD, parent: "deep" }, input(SSH, "-j deep")),
      [/^problem .* accepts the packets before our chain: they need no knock/],
    ],
    ["a former guard of ours", said(NFT, { ...native(-100, NO_SSH), name: "inet wkfs guard" }), []],
  ])("%s", (_, texts, expected) => {
    expect(texts).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });

  it("one sentence names all ports that it is about", () => {
    const chains = [native(0, "DROP")];
    const [finding, ...rest] = ruleFindings(NFT, chains, { tcp: [22, 80], udp: [53] });
    expect(finding!.text).toMatch(/^tcp\/22, tcp\/80, udp\/53: /);
    expect(rest).toEqual([]);
  });
});

function host(more: Partial<Host["filter"]> & { readonly others?: Partial<Host["others"]> } = {}): Host {
  const listener = (port: number, program: string, local = false) =>
    ({ protocol: "tcp", port, addresses: [local ? "127.0.0.1" : "0.0.0.0"], programs: [program], local }) as const;
  const { others, ...filter } = more;
  return {
    listeners: [
      listener(22, "sshd"),
      listener(443, "nginx"),
      listener(5432, "docker-proxy"),
      listener(6379, "redis", true),
    ],
    filter: {
      nft: true,
      iptables: "nf_tables",
      ipset: true,
      readable: true,
      chains: [],
      legacyBeside: false,
      texts: [],
      ...filter,
    },
    others: { firewalld: false, ufw: false, docker: false, ...others },
  };
}

const proposed = (given: Host, wish = {}) =>
  proposedFirewalls(given, PORTS, wish).firewalls.map(({ use, mode }) => `${use} ${mode}`);
const IPTABLES = ["iptables guard", "ip6tables guard"];

describe("the proposed firewall", () => {
  it.each<[string, string[], string[]]>([
    ["nft alone", proposed(host()), ["nftables guard"]],
    ["rules of iptables", proposed(host({ chains: [input(SSH, "DROP")] })), IPTABLES],
    ["an INPUT of iptables without rules, as beside Docker", proposed(host({ chains: [input()] })), ["nftables guard"]],
    ["a chain of nftables that closes", proposed(host({ chains: [native(0, "DROP")] })), ["nftables allow"]],
    ["one that lets the port in", proposed(host({ chains: [native(0, SSH, "DROP")] })), ["nftables guard"]],
    [
      "firewalld, whose tables forget strangers",
      proposed(host({ chains: [{ ...native(0, "DROP"), name: "inet firewalld filter_INPUT" }] })),
      ["nftables guard"],
    ],
    ["no nft", proposed(host({ nft: false })), IPTABLES],
    ["a chain of iptables that was named", proposed(host(), { chain: "doors" }), IPTABLES],
    ["a chain of nftables that was named", proposed(host(), { parent: "inet a b" }), ["nftables allow"]],
  ])("for %s", (_, uses, expected) => expect(uses).toEqual(expected));

  it("names the chain that closes as the parent", () => {
    const [entry] = proposedFirewalls(host({ chains: [native(0, "DROP")] }), PORTS).firewalls;
    expect(entry).toMatchObject({ parent: { family: "inet", table: "filter", chain: "input" } });
  });
});

const ANSWERS: ServerAnswers = {
  ...PORTS,
  maxTime: 600,
  listen: "0.0.0.0:8080",
  path: "/x",
  url: "https://www.example.org/x",
  trustedProxies: [],
  transport: { use: "localhost-tcp", port: 33_491 },
  firewalls: [NFT],
  notify: [],
  control: undefined,
};

describe("what the host means", () => {
  const texts = (answers: Partial<ServerAnswers>, given = host()) =>
    findings({ ...ANSWERS, ...answers }, given).map(({ level, text }) => `${level} ${text}`);

  it.each<[string, string[], RegExp[]]>([
    ["all is well", texts({}), []],
    [
      "the gateway's own port",
      texts({ tcp: [8080] }),
      [/^problem tcp\/8080 is where the gateway/, /^note Nothing listens/],
    ],
    ["the port of the URL", texts({ tcp: [443] }), [/^problem tcp\/443 is the port of the URL/]],
    [
      "a web server's port",
      texts({ tcp: [443], url: "http://gw1.example.org:8080/x" }),
      [/^warning tcp\/443 is nginx's/],
    ],
    ["what Docker publishes", texts({ tcp: [5432] }), [/^problem tcp\/5432 is published by Docker/]],
    ["what is local", texts({ tcp: [6379] }), [/^note tcp\/6379 listens on 127\.0\.0\.1 alone/]],
    ["no nft", texts({}, host({ nft: false })), [/^problem nft is not installed/]],
    [
      "no ipset",
      texts({ firewalls: [GUARD, { ...GUARD, use: "ip6tables" }] }, host({ ipset: false })),
      [/^warning ipset is not installed/],
    ],
    ["one family", texts({ firewalls: [GUARD] }), [/^warning iptables guards one family/]],
    ["both kinds of iptables", texts({}, host({ legacyBeside: true })), [/^warning iptables-legacy has rules/]],
    ["nobody may read the rules", texts({}, host({ readable: false })), [/^warning .* needs root/]],
    [
      "no parent",
      texts({ firewalls: [{ use: "nftables", mode: "allow" }] }),
      [/^problem There is no chain inet filter input/],
    ],
    [
      "others",
      texts({}, host({ others: { firewalld: true, ufw: true, docker: true } })),
      [/^note firewalld: /, /^note ufw: /, /^note Docker: /],
    ],
  ])("%s", (_, found, expected) => {
    expect(found).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });

  it("offers to take out what is about the protected ports alone", () => {
    const rules = [SSH, "-p tcp -m multiport --dports 22,443 -j ACCEPT", "-s 10.0.0.0/8 -j ACCEPT", OFFICE, NO_SSH];
    expect(offeredRules({ ...GUARD, mode: "allow" }, host({ chains: [input(...rules)] }), PORTS)).toEqual([
      SSH,
      OFFICE,
    ]);
    expect(offeredRules(GUARD, host({ chains: [input(...rules)] }), PORTS)).toEqual([]);
  });
});

describe("whether knocks come in", () => {
  const BOTH = "-p tcp -m multiport --dports 22,8080 -j ACCEPT";
  const WEB = "-p tcp -m tcp --dport 443 -j ACCEPT";
  const knocks = (chain: BaseChain, more: Partial<ServerAnswers> = {}) =>
    findings({ ...ANSWERS, ...more }, host({ chains: [chain] }))
      .map(({ level, text }) => `${level} ${text}`)
      .filter((text) => text.includes("clients knock"));
  const allow = { firewalls: [{ ...GUARD, mode: "allow" as const, takeOut: [BOTH] }] };

  it.each<[string, string[], RegExp[]]>([
    ["a rule lets them in", knocks(native(0, BOTH, "DROP")), []],
    ["a rule lets some in", knocks(native(0, "-s 10.0.0.0/8 -j ACCEPT", "DROP")), []],
    ["nothing does", knocks(native(0, SSH, "DROP")), [/^problem tcp\/8080, .* the policy of inet .* drops knocks: /]],
    [
      "a rule drops them",
      knocks(input("-p tcp -m tcp --dport 8080 -j DROP")),
      [/^problem .* "-p tcp .* drops knocks: /],
    ],
    [
      "what lets them in is out when the guard is confirmed",
      knocks(input(BOTH, "DROP"), allow),
      [/as soon as the guard/],
    ],
    [
      "nothing does over IPv6",
      knocks({ ...input("DROP"), families: ["ipv6"] }, { listen: "[::]:8080" }),
      [/^warning .* over IPv6: /],
    ],
    ["it is out, and another does", knocks(input(BOTH, "-p tcp -j ACCEPT", "DROP"), allow), []],
    ["a web server passes them on", knocks(native(0, WEB, "DROP"), { listen: "127.0.0.1:8080" }), []],
    ["its port is closed", knocks(native(0, SSH, "DROP"), { listen: "127.0.0.1:8080" }), [/^problem tcp\/443, /]],
    ["it is on another host", knocks(native(0, "DROP"), { listen: "unix:/run/a", url: "https://a.example:444/x" }), []],
  ])("%s", (_, found, expected) => {
    expect(found).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });
});
