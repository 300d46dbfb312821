import { WkfsError } from "@wkfs/core";
import { FakeClock, firewallSuite, testContext } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { type Family, configSchema } from "./config.ts";
import { IptablesFirewall } from "./firewall.ts";
import { RehearsalNetfilter } from "./rehearsal.ts";
import { chainRules, parseRuleset, wordsOf } from "./ruleset.ts";

/** A firewall over a packet filter in memory, in which the administrator has a rule. */
async function rehearsal(family: Family, settings: object = {}) {
  const clock = new FakeClock();
  const printed: string[] = [];
  const netfilter = new RehearsalNetfilter({
    family,
    now: () => clock.now(),
    print: (text) => void printed.push(text),
  });
  await netfilter.restore(
    '*filter\n-A INPUT -p tcp -m tcp --dport 80 -m comment --comment "a web server" -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n',
  );
  const make = (more: object = {}) =>
    IptablesFirewall.create(
      family,
      configSchema(family).parse({ ...settings, ...more }),
      testContext({ clock }),
      netfilter,
    );
  const line = (text: string) => async () => await netfilter.restore(`*filter\n${text}\nCOMMIT\n`);
  return {
    make,
    netfilter,
    printed,
    clock,
    makeSecond: () => make({ chain: "other" }),
    now: () => clock.now(),
    pass: (ms: number) => clock.advance(ms),
    snapshot: () => netfilter.save(),
    harm: {
      "flushing the parent": line("-F INPUT"),
      "flushing the chain": line("-F wkfs"),
      // What stands before the accepts of `mode: allow` is the administrator's business.
      ...(!("mode" in settings) && { "a rule in front": line("-I INPUT 1 -p tcp -j ACCEPT") }),
      "the chain deleted": line("-F INPUT\n-F wkfs\n-X wkfs"),
      "rules that are no leases": settings === NO_SETS ? line("-A wkfs-open -j ACCEPT") : line("-A wkfs -j ACCEPT"),
    },
    async [Symbol.asyncDispose]() {},
  };
}
const NO_SETS = { ipset: "never" };

firewallSuite("iptables in memory, guard with sets", { describe, it }, () => rehearsal("ipv4"));
firewallSuite("ip6tables in memory, guard with sets", { describe, it }, () => rehearsal("ipv6"));
firewallSuite("iptables in memory, guard without sets", { describe, it }, () => rehearsal("ipv4", NO_SETS));
firewallSuite("iptables in memory, allow", { describe, it }, () => rehearsal("ipv4", { mode: "allow", position: 2 }));

describe("mode: allow", () => {
  const settings = { mode: "allow", takeOut: ["-p tcp -m tcp --dport 22 -j ACCEPT"] };

  it("takes rules out and puts them back at their old place, also after a crash, and with another configuration", async () => {
    const subject = await rehearsal("ipv4", settings);
    const before = subject.netfilter.ruleset.get("INPUT");
    for (const end of ["release", "crash", "detach", "guard"] as const) {
      const firewall = await subject.make();
      await firewall.attach();
      const during = subject.netfilter.ruleset.get("INPUT")!;
      expect(during.length).toBe(3);
      expect(during.some((rule) => rule.includes("--dport 22"))).toBe(false);
      expect((await firewall.check()).missing).toEqual([]);
      if (end === "crash") continue;
      const next = end === "guard" ? await subject.make({ mode: "guard", takeOut: [] }) : firewall;
      if (end === "guard") await next.attach();
      if (end === "release") await next.release();
      expect(subject.netfilter.ruleset.get("INPUT")!.filter((rule) => !rule.endsWith("-j wkfs"))).toEqual(
        end === "detach" ? expect.anything() : before,
      );
      await next.detach();
      expect(subject.netfilter.ruleset.get("INPUT")).toEqual(before);
    }
  });

  it("notices a rule that came back, and takes it out again", async () => {
    const subject = await rehearsal("ipv4", settings);
    const firewall = await subject.make();
    await firewall.attach();
    await subject.netfilter.restore("*filter\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n");
    expect((await firewall.check()).missing).toEqual([expect.stringContaining("--dport 22")]);
    await firewall.attach();
    expect((await firewall.check()).missing).toEqual([]);
  });

  it("hangs where it is told to", async () => {
    const subject = await rehearsal("ipv4", { mode: "allow", position: 2 });
    await (await subject.make()).attach();
    expect(subject.netfilter.ruleset.get("INPUT")!.map((rule) => rule.endsWith("-j wkfs"))).toEqual([
      false,
      true,
      false,
    ]);
  });
});

describe("what is written", () => {
  it("does without sockets where the kernel does not find them", async () => {
    const subject = await rehearsal("ipv4");
    const restore = subject.netfilter.restore.bind(subject.netfilter);
    subject.netfilter.restore = async (text) => {
      if (text.includes("-m socket")) throw new WkfsError("FIREWALL_FAILED", "no module xt_socket");
      await restore(text);
    };
    const firewall = await subject.make();
    await firewall.attach();
    expect((await firewall.check()).missing).toEqual([]);
    expect(subject.netfilter.ruleset.get("wkfs")).toEqual(
      chainRules(configSchema("ipv4").parse({}), { tcp: [22, 5432], udp: [1194] }, true, undefined, false),
    );
  });

  it("closes any number of ports, fifteen a rule, and never loopback or what stands", () => {
    const config = configSchema("ipv4").parse({});
    const tcp = Array.from({ length: 31 }, (_, index) => index + 1);
    const rules = chainRules(config, { tcp, udp: [] }, true);
    expect(rules.slice(0, 4)).toEqual([
      "-i lo -j RETURN",
      "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
      "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m socket -j RETURN",
      "-m set --match-set wkfs-v4 src,dst -j ACCEPT",
    ]);
    expect(rules.slice(4).map((rule) => wordsOf(rule)[5]!.split(",").length)).toEqual([15, 15, 1]);
  });

  it("is a failure when the kernel refuses it, and is tried anew", async () => {
    const subject = await rehearsal("ipv4");
    const firewall = await subject.make();
    subject.netfilter.broken = "no module xt_set";
    await expect(firewall.attach()).rejects.toMatchObject({ code: "FIREWALL_FAILED" });
    subject.netfilter.broken = undefined;
    await (await subject.make()).attach();
  });

  it("a full set is told as what it is", async () => {
    const subject = await rehearsal("ipv4", { size: 16 });
    const firewall = await subject.make();
    await firewall.attach();
    const leases = Array.from(
      { length: 17 },
      (_, host) =>
        ({
          address: { family: "ipv4", text: `10.0.0.${host + 1}`, length: 32 },
          port: { protocol: "tcp", number: 22 },
          client: "a",
          openedAt: 0,
          deadline: subject.now() + 60_000,
        }) as const,
    );
    await expect(firewall.apply({ open: leases, close: [], before: [] })).rejects.toMatchObject({
      code: "FIREWALL_FULL",
    });
    expect((await firewall.list()).leases).toEqual([]);
  });
});

describe("what is read", () => {
  it("is split into words as iptables-save quotes them", () => {
    expect(wordsOf('-m comment --comment "a \\"b\\" c" -j X')).toEqual([
      "-m",
      "comment",
      "--comment",
      'a "b" c',
      "-j",
      "X",
    ]);
    expect(parseRuleset("# x\n*filter\n:INPUT ACCEPT [0:0]\n:wkfs - [0:0]\n-A INPUT -j wkfs\nCOMMIT\n")).toEqual(
      new Map([
        ["INPUT", ["-j wkfs"]],
        ["wkfs", []],
      ]),
    );
  });
});

describe("the configuration", () => {
  it.each([
    { chain: "a b" },
    { chain: "a\nCOMMIT" },
    { chain: "-j" },
    { chain: "a".repeat(24) },
    { parent: "a;b" },
    { set: "x".repeat(32) },
    { mode: "open" },
    { position: 0 },
    { takeOut: ["-j ACCEPT"] },
    { mode: "allow", takeOut: ["-j ACCEPT\n-A INPUT -j ACCEPT"] },
    { mode: "allow", takeOut: ["DROP"] },
    { chian: "x" },
  ])("refuses %j", (config) => expect(configSchema("ipv4").safeParse(config).success).toBe(false));
});
