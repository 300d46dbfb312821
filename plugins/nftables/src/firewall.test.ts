import { FakeClock, firewallSuite, recordingLogger, testContext } from "@wkfs/core/testing";
import { type Lease, WkfsError, parseAddress } from "@wkfs/core";
import { describe, expect, it } from "vitest";
import { configSchema } from "./config.ts";
import { NftablesFirewall } from "./firewall.ts";
import { layoutOf } from "./layout.ts";
import { changeCommands, parseElements } from "./lease-text.ts";
import { Unanswered } from "./nftables.ts";
import { RehearsalNftables } from "./rehearsal.ts";
import { parseTable } from "./table-text.ts";

const PROTECT = { tcp: [22, 5432], udp: [1194] };
const FILTER = "inet filter";

/** A firewall over a packet filter in memory, in which the administrator has a table. */
async function rehearsal(settings: object = {}) {
  const clock = new FakeClock();
  const printed: string[] = [];
  const nftables = new RehearsalNftables({ now: () => clock.now(), print: (text) => void printed.push(text) });
  await nftables.write(
    `add table ${FILTER}\nadd chain ${FILTER} input { type filter hook input priority 0; policy accept; }\nadd rule ${FILTER} input tcp dport 80 accept comment "a web server"\nadd rule ${FILTER} input tcp dport 22 accept\n`,
  );
  const lines = (...commands: string[]) => nftables.write(`${commands.join("\n")}\n`);
  const make = async (more: object = {}) =>
    new NftablesFirewall(configSchema.parse({ ...settings, ...more }), testContext({ clock }), nftables);
  const allow = "mode" in settings;
  return {
    make,
    nftables,
    printed,
    clock,
    lines,
    makeSecond: () => make({ name: "other" }),
    now: () => clock.now(),
    pass: (ms: number) => clock.advance(ms),
    snapshot: () => nftables.snapshot(),
    harm: allow
      ? {
          "flushing the parent": () => lines(`flush chain ${FILTER} input`),
          "flushing the chain": () => lines(`flush chain ${FILTER} wkfs`),
          "a second call": () => lines(`add rule ${FILTER} input jump wkfs comment "wkfs"`),
        }
      : {
          "deleting the table": () => lines("delete table inet wkfs"),
          "switching the table off": () => lines("add table inet wkfs { flags dormant; }"),
          "flushing the chain": () => lines("flush chain inet wkfs guard"),
          "deleting the chain": () => lines("flush chain inet wkfs guard", "delete chain inet wkfs guard"),
          "a rule in front": () => lines("insert rule inet wkfs guard accept"),
        },
    async [Symbol.asyncDispose]() {},
  };
}

firewallSuite("nftables in memory, guard", { describe, it }, () => rehearsal());
firewallSuite("nftables in memory, allow", { describe, it }, () => rehearsal({ mode: "allow", position: 2 }));

function lease(text: string, deadline: number, port: Lease["port"] = { protocol: "tcp", number: 22 }): Lease {
  return { address: parseAddress(text), port, client: "a", openedAt: 0, deadline };
}

describe("mode: allow", () => {
  const long = `ip saddr { ${Array.from({ length: 40 }, (_, host) => `10.0.0.${host}`).join(", ")} } tcp dport 22 counter accept comment "100 % ours"`;
  const settings = {
    mode: "allow",
    takeOut: ["tcp dport 22 accept", long.replace("counter", "counter packets 7 bytes 420")],
  };

  it.each(["release", "crash", "detach"] as const)(
    "takes rules out and puts them back to their old place, however long they are (%s)",
    async (end) => {
      const subject = await rehearsal(settings);
      await subject.lines(`insert rule ${FILTER} input ${long}`);
      const rules = () => subject.nftables.rulesOf(FILTER, "input")!;
      const before = rules();
      expect(before[0]).toBe(long);
      const firewall = await subject.make();
      await firewall.attach();
      expect(rules().filter((rule) => rule === long || settings.takeOut.includes(rule))).toEqual([]);
      expect(rules().every((rule) => (/comment "(.*)"$/.exec(rule)?.[1]?.length ?? 0) <= 128)).toBe(true);
      expect((await firewall.check()).missing).toEqual([]);
      const next = end === "crash" ? await subject.make() : firewall;
      if (end === "crash") await next.attach();
      if (end === "release") {
        await next.release();
        expect(rules().filter((rule) => rule !== 'jump wkfs comment "wkfs"')).toEqual(before);
      }
      await next.detach();
      expect(rules()).toEqual(before);
    },
  );

  it("notices a rule that came back, and takes it out again", async () => {
    const subject = await rehearsal(settings);
    const firewall = await subject.make();
    await firewall.attach();
    await subject.lines(`add rule ${FILTER} input tcp dport 22 accept`);
    expect((await firewall.check()).missing).toEqual([expect.stringContaining("tcp dport 22")]);
    await firewall.attach();
    expect((await firewall.check()).missing).toEqual([]);
  });

  it("puts back what a former run took out and this configuration does not", async () => {
    const subject = await rehearsal(settings);
    const before = subject.nftables.rulesOf(FILTER, "input")!;
    await (await subject.make()).attach();
    const next = await subject.make({ takeOut: [] });
    await next.attach();
    expect(subject.nftables.rulesOf(FILTER, "input")).toEqual(['jump wkfs comment "wkfs"', ...before]);
  });

  it("hangs where it is told to", async () => {
    for (const [position, place] of [
      [1, 0],
      [2, 1],
      [9, 2],
    ]) {
      const subject = await rehearsal({ mode: "allow", position });
      await (await subject.make()).attach();
      expect(subject.nftables.rulesOf(FILTER, "input")!.indexOf('jump wkfs comment "wkfs"')).toBe(place);
    }
  });

  it("takes calls that the administrator added out with it", async () => {
    const subject = await rehearsal({ mode: "allow" });
    const before = await subject.snapshot();
    const firewall = await subject.make();
    await firewall.attach();
    await subject.lines(`add rule ${FILTER} input tcp dport 443 jump wkfs comment "also here"`);
    await firewall.detach();
    expect(await subject.snapshot()).toBe(before);
  });

  it("makes no chain of the administrator's, and says which one it wants", async () => {
    const subject = await rehearsal({ mode: "allow", parent: { chain: "INPUT" } });
    await expect((await subject.make()).attach()).rejects.toMatchObject({
      code: "FIREWALL_FAILED",
      message: "there is no chain INPUT in the table inet filter",
    });
  });

  it("stays out of a table of iptables'", async () => {
    const subject = await rehearsal({ mode: "allow" });
    const asIs = subject.nftables.describe.bind(subject.nftables);
    subject.nftables.describe = async (table) =>
      `# Warning: table inet filter is managed by iptables-nft, do not touch!\n${await asIs(table)}`;
    const before = await subject.snapshot();
    await expect((await subject.make()).attach()).rejects.toMatchObject({ code: "FIREWALL_FAILED" });
    expect(await subject.snapshot()).toBe(before);
  });

  it("holds the addresses that the parent's family has", async () => {
    const subject = await rehearsal({ mode: "allow", parent: { family: "ip6" } });
    const firewall = await subject.make();
    expect(firewall.capabilities.families).toEqual(["ipv6"]);
    const foreign = firewall.apply({ open: [lease("10.0.0.1", subject.now() + 1000)], close: [], before: [] });
    await expect(foreign).rejects.toMatchObject({ code: "FIREWALL_FAILED" });
  });
});

describe("what is written", () => {
  it("does without sockets where the kernel does not find them", async () => {
    const subject = await rehearsal();
    const write = subject.nftables.write.bind(subject.nftables);
    subject.nftables.write = async (commands) => {
      if (commands.includes("socket wildcard")) throw new WkfsError("FIREWALL_FAILED", "no module nft_socket");
      await write(commands);
    };
    const firewall = await subject.make();
    await firewall.attach();
    expect((await firewall.check()).missing).toEqual([]);
  });

  const layout = layoutOf(configSchema.parse({}), PROTECT);

  it("lets loopback and what stands pass, then leases, and closes what is protected", () => {
    expect(layout.rules).toEqual([
      'iif "lo" return',
      "ct state established,related return",
      "tcp flags & (fin | syn | rst | ack) != syn socket wildcard 0 return",
      "ip saddr . meta l4proto . th dport @wkfs_v4 accept",
      "ip6 saddr . meta l4proto . th dport @wkfs_v6 accept",
      "tcp dport { 22, 5432 } drop",
      "udp dport { 1194 } drop",
    ]);
    expect(layoutOf(configSchema.parse({}), { tcp: [], udp: [] }).rules.length).toBe(5);
  });

  it("renews by add, delete, add; never ends before the deadline; writes no ended lease", () => {
    const change = {
      open: [lease("10.0.0.1", 60_001), lease("fd91::2", 1, { protocol: "udp", number: 1194 }), lease("fd91::3", 0)],
      close: [lease("10.0.0.9", 0)],
    };
    expect(changeCommands(layout, { ...change, before: change.open }, 0)).toBe(
      `add element inet wkfs wkfs_v4 {\n10.0.0.9 . 6 . 22,\n10.0.0.1 . 6 . 22\n}
delete element inet wkfs wkfs_v4 {\n10.0.0.9 . 6 . 22,\n10.0.0.1 . 6 . 22\n}
add element inet wkfs wkfs_v4 {\n10.0.0.1 . 6 . 22 timeout 60s21ms\n}
add element inet wkfs wkfs_v6 {\nfd91::2 . 17 . 1194,\nfd91::3 . 6 . 22\n}
delete element inet wkfs wkfs_v6 {\nfd91::2 . 17 . 1194,\nfd91::3 . 6 . 22\n}
add element inet wkfs wkfs_v6 {\nfd91::2 . 17 . 1194 timeout 0s21ms\n}
`,
    );
  });

  it("makes what was not open by one command, which the kernel refuses when it is there all the same", () => {
    const open = [lease("10.0.0.1", 60_001), lease("10.0.0.2", 0)];
    expect(changeCommands(layout, { open, close: [], before: [] }, 0)).toBe(
      "create element inet wkfs wkfs_v4 {\n10.0.0.1 . 6 . 22 timeout 60s21ms\n}\n",
    );
    expect(changeCommands(layout, { open: [lease("10.0.0.2", 0)], close: [], before: [] }, 0)).toBe("");
  });

  it("holds a key once, whatever the change says of it", () => {
    const twice = changeCommands(
      layout,
      { open: [lease("10.0.0.1", 1000), lease("10.0.0.1", 2000)], close: [lease("10.0.0.1", 0)], before: [] },
      0,
    );
    expect(twice.match(/10\.0\.0\.1/g)?.length).toBe(3);
    expect(twice).toContain("timeout 2s20ms");
  });

  it("is a failure when the kernel refuses it, and is tried anew", async () => {
    const subject = await rehearsal();
    const firewall = await subject.make();
    subject.nftables.broken = "Operation not permitted (you must be root)";
    await expect(firewall.attach()).rejects.toMatchObject({ code: "FIREWALL_FAILED" });
    subject.nftables.broken = undefined;
    await firewall.attach();
  });

  it("is taken back when nobody knows whether it happened", async () => {
    const subject = await rehearsal();
    const firewall = await subject.make();
    await firewall.attach();
    const standing = lease("10.0.0.1", subject.now() + 60_000);
    await firewall.apply({ open: [standing], close: [], before: [] });
    const write = subject.nftables.write.bind(subject.nftables);
    subject.nftables.write = async (commands) => {
      await write(commands);
      subject.nftables.write = write;
      throw new Unanswered("FIREWALL_FAILED", "the process ended");
    };
    const open = [lease("10.0.0.2", subject.now() + 60_000), { ...standing, deadline: subject.now() + 600_000 }];
    await expect(firewall.apply({ open, close: [], before: [standing] })).rejects.toThrow("the process ended");
    expect((await firewall.list()).leases).toEqual([
      { address: standing.address, port: standing.port, deadline: subject.now() + 60_500 },
    ]);
  });

  it("leaves a set alone that is somebody else's", async () => {
    const subject = await rehearsal();
    await subject.lines("add table inet wkfs", "add set inet wkfs wkfs_v4 { type ipv4_addr; }");
    const before = await subject.snapshot();
    const firewall = await subject.make();
    await expect(firewall.attach()).rejects.toMatchObject({ code: "FIREWALL_FAILED" });
    expect(await subject.snapshot()).toBe(before);
  });

  it("keeps the leases when the size is another, and refuses a size that is too small for them", async () => {
    const subject = await rehearsal();
    const leases = Array.from({ length: 20 }, (_, host) => lease(`10.0.0.${host + 1}`, subject.now() + 60_000));
    const first = await subject.make();
    await first.attach();
    await first.apply({ open: leases, close: [], before: [] });
    const more = await subject.make({ size: 64 });
    await more.attach();
    expect((await more.list()).leases.length).toBe(20);
    await expect((await subject.make({ size: 16 })).attach()).rejects.toMatchObject({ code: "FIREWALL_FULL" });
    expect(await more.check()).toEqual({ missing: [], absent: [], count: undefined });
    expect((await more.list()).leases.length).toBe(20);
  });

  it("goes with the table only when nobody else has something in it", async () => {
    const subject = await rehearsal();
    const firewall = await subject.make();
    await firewall.attach();
    await subject.lines("add chain inet wkfs theirs");
    await firewall.detach();
    expect(await subject.nftables.describe({ family: "inet", name: "wkfs" })).toMatch(
      /^table inet wkfs.*\n\tchain theirs/,
    );
    expect(await subject.snapshot()).not.toContain("wkfs_v4");
  });
});

describe("what is read", () => {
  const text = (...elements: string[]) =>
    `{"nftables": [{"metainfo": {}}, {"set": {"elem": [${elements.join(", ")}]}}]}`;

  it("are the elements of a set, in the words of nft", async () => {
    const leases = await parseElements(
      text(
        '{"elem": {"val": {"concat": ["10.0.0.1", 6, 22]}, "timeout": 60, "expires": 59}}',
        '{"elem": {"val": {"concat": ["::0.5.0.6", "udp", 1194]}, "timeout": 60, "comment": "x", "expires": 0}}',
        '{"concat": ["2001:db8::", 17, 53]}',
        '{"concat": ["2001:db8::1", 1, 53]}',
      ),
      1000,
    );
    expect(leases).toEqual([
      { address: parseAddress("10.0.0.1"), port: { protocol: "tcp", number: 22 }, deadline: 60_500 },
      { address: parseAddress("::5:6"), port: { protocol: "udp", number: 1194 }, deadline: 1500 },
      // One without an end: the latest of all.
      { address: parseAddress("2001:db8::"), port: { protocol: "udp", number: 53 }, deadline: 99_999_999_000 + 1000 },
    ]);
  });

  it("is never nothing because it is printed otherwise", async () => {
    await expect(parseElements(text('{"concat": [{"addr": "10.0.0.1"}, 6, 22]}'), 0)).rejects.toMatchObject({
      code: "FIREWALL_FAILED",
    });
  });

  it("is a table with what is said about it, once, and the count where nft tells", () => {
    const printed =
      '# Warning: x\ntable inet wkfs { # handle 1\n\tflags dormant\n\n\tset a { # handle 2\n\t\tsize 64\t# count 7\n\t}\n\n\tmap m {\n\t\tx\n\t}\n\n\tchain c { # handle 3\n\t\ttype filter hook input priority filter - 10; policy accept;\n\t\tip saddr 1.1.1.1 accept comment "# handle 9" # handle 4\n\t}\n}\ntable inet wkfs {\n\tchain d {\n\t}\n}\n';
    expect(parseTable(printed)).toEqual({
      about: ["flags dormant"],
      iptables: false,
      sets: new Map([["a", { lines: ["size 64"], count: 7 }]]),
      chains: new Map([
        [
          "c",
          {
            hook: "type filter hook input priority filter - 10; policy accept;",
            rules: [{ handle: 4, text: 'ip saddr 1.1.1.1 accept comment "# handle 9"' }],
          },
        ],
      ]),
      parts: 3,
    });
  });
});

describe("the configuration", () => {
  it.each([
    { name: "a b" },
    { name: "a\nflush ruleset" },
    { name: "1a" },
    { name: "a;b" },
    { name: "a".repeat(33) },
    { mode: "open" },
    { size: 1 },
    { priority: -200 },
    { position: 2 },
    { parent: {} },
    { takeOut: ["accept"] },
    { mode: "allow", priority: 0 },
    { mode: "allow", position: 0 },
    { mode: "allow", parent: { family: "bridge" } },
    { mode: "allow", parent: { chian: "x" } },
    { mode: "allow", takeOut: ["accept\nflush ruleset"] },
    { nmae: "x" },
  ])("refuses %j", (config) => expect(configSchema.safeParse(config).success).toBe(false));

  it("says nothing to the log while it is checked", () => {
    const log = recordingLogger();
    expect(
      new NftablesFirewall(
        configSchema.parse({}),
        testContext({ log }),
        new RehearsalNftables({ now: () => 0, print: () => {} }),
      ).capabilities,
    ).toMatchObject({ families: ["ipv4", "ipv6"], expiry: "kernel" });
    expect(log.lines).toEqual([]);
  });
});
