import { describe, expect, it } from "vitest";
import { leftovers } from "./leftovers.ts";
import { differences } from "./ruleset.ts";

const chain = (name: string, ...rules: string[]) =>
  [
    `\tchain ${name} {`,
    `\t\ttype filter hook ${name.toLowerCase()} priority filter; policy accept;`,
    ...rules.map((rule) => `\t\t${rule}`),
    "\t}",
  ].join("\n");
const table = (name: string, ...parts: string[]) => `table ${name} {\n${parts.join("\n\n")}\n}\n`;
const DROP = "counter packets 3 bytes 180 drop";

describe("what iptables leaves behind", () => {
  it.each([
    ["nothing, where nothing is new", table("ip filter", chain("INPUT")), table("ip filter", chain("INPUT")), []],
    [
      "a table of its own",
      "",
      table("ip filter", chain("INPUT"), chain("FORWARD")),
      [["delete", "table", "ip", "filter"]],
    ],
    [
      "one of each family, beside those of others",
      table("inet mine", chain("INPUT", DROP)),
      table("inet mine", chain("INPUT", DROP)) +
        table("ip filter", chain("INPUT")) +
        table("ip6 filter", chain("INPUT")),
      [
        ["delete", "table", "ip", "filter"],
        ["delete", "table", "ip6", "filter"],
      ],
    ],
    [
      "a chain in a table that was there",
      table("ip filter", chain("FORWARD", DROP)),
      table("ip filter", chain("FORWARD", DROP), chain("INPUT")),
      [["delete", "chain", "ip", "filter", "INPUT"]],
    ],
    ["not what somebody has filled meanwhile", "", table("ip filter", chain("INPUT", DROP)), []],
    [
      "not a table in which somebody has something",
      "",
      table("ip filter", "\tset theirs {\n\t\ttype ipv4_addr\n\t}", chain("INPUT")),
      [["delete", "chain", "ip", "filter", "INPUT"]],
    ],
    ["not a chain that drops", "", table("ip filter", chain("INPUT").replace("accept", "drop")), []],
    ["not tables of other names", "", table("ip nat", chain("INPUT")), []],
  ])("%s", (_, before, now, expected) => {
    expect(leftovers(before, now)).toEqual(expected);
  });
});

describe("two rulesets", () => {
  it("are the same when only counters, remarks and times differ", () => {
    const text = (packets: number, expires: string) =>
      `# Generated on a day\n:INPUT ACCEPT [${packets}:99]\n\t\tcounter packets ${packets} bytes 9 drop\n\t\telements = { 10.0.0.1 timeout 1m expires ${expires} }\n`;
    expect(differences({ "iptables-save": text(1, "1s5ms") }, { "iptables-save": text(2, "59s") })).toEqual([]);
  });

  it("differ in lines that are named", () => {
    const before = { "iptables-save": "-A INPUT -j a\n-A INPUT -j a\n-A INPUT -j b\n", "ipset-list-n": "x\n" };
    expect(differences(before, { "iptables-save": "-A INPUT -j a\n-A INPUT -j c\n-A INPUT -j b\n" })).toEqual([
      "iptables-save: gone: -A INPUT -j a",
      "iptables-save: more: -A INPUT -j c",
    ]);
    expect(differences({ "iptables-save": "a\nb\n" }, { "iptables-save": "b\na\n" })).toEqual([
      "iptables-save: in another order",
    ]);
  });
});
