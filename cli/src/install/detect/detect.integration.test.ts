import { once } from "node:events";
import { basename } from "node:path";
import { NetworkNamespace, whyNoKernel } from "@wkfs/core/testing";
import { describe, expect, it } from "vitest";
import { listenersOf } from "./listeners.ts";
import { parseInput } from "./iptables-rules.ts";
import { parseHooks } from "./nft-rules.ts";
import { runningPrograms } from "./programs.ts";
import { outcomes } from "./rules.ts";
import { listeningSockets } from "./sockets.ts";

const reason = whyNoKernel("nft", "iptables");
const because = reason === undefined ? "" : ` (skipped: ${reason})`;

const LISTENER = `
const { createServer } = require("node:net");
const { createSocket } = require("node:dgram");
const ready = [
  new Promise((go) => createServer().listen(22, "0.0.0.0", go)),
  new Promise((go) => createServer().listen(5432, "127.0.0.1", go)),
  new Promise((go) => createServer().listen({ host: "fd00::1", port: 443 }, go)),
  new Promise((go) => createSocket("udp6").bind(1194, "::", go)),
];
Promise.all(ready).then(() => console.log("up"));
`;

async function chainsOf(host: NetworkNamespace) {
  return parseHooks(
    await host.run("nft", "--json", "--terse", "list ruleset"),
    await host.run("nft", "--handle", "--stateless", "--terse", "list ruleset"),
  );
}

describe.skipIf(reason !== undefined)(`on a kernel of its own${because}`, () => {
  it("real listeners are found with their programs, of both protocols and families", async () => {
    await using host = await NetworkNamespace.create();
    await host.run("ip", "address", "add", "fd00::1/64", "dev", "lo", "nodad");
    const child = host.spawn([process.execPath, "-e", LISTENER], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout!, "data");
    const name = basename(process.execPath);
    const found = listenersOf(await listeningSockets(`/proc/${child.pid}`), await runningPrograms());
    expect(found).toEqual([
      { protocol: "tcp", port: 22, addresses: ["0.0.0.0"], programs: [name], local: false },
      { protocol: "tcp", port: 443, addresses: ["fd00::1"], programs: [name], local: false },
      { protocol: "udp", port: 1194, addresses: ["::"], programs: [name], local: false },
      { protocol: "tcp", port: 5432, addresses: ["127.0.0.1"], programs: [name], local: true },
    ]);
  });

  it("what nft holds is read as the kernel means it", async () => {
    await using host = await NetworkNamespace.create();
    await host.exec(
      ["nft", "-f", "-"],
      `table inet filter {
      set ports { type inet_service; elements = { 7, 8 }; }
      chain early { type filter hook input priority -20; policy accept; tcp dport 9999 drop; }
      chain input {
        type filter hook input priority 0; policy drop;
        ct state vmap { invalid : drop, established : accept, related : accept }
        iif lo accept
        iifname != "lo" ip6 nexthdr icmpv6 accept
        tcp dport { 22, 80-90 } ct state new counter accept comment "hi"
        ip saddr 10.0.0.0/8 tcp dport 5432 limit rate 5/second accept
        tcp dport @ports accept
        meta l4proto { tcp, udp } th dport 53 accept
        tcp dport vmap { 25 : drop, 26 : accept, 27 : jump more }
        iifname vmap { "lo" : accept, "eth0" : jump more }
        meta nfproto ipv6 udp dport 500 reject with icmpx admin-prohibited
      }
      chain more { tcp dport { 27, 28 } accept; udp dport 1 return; }
      chain forward { type filter hook forward priority 0; policy drop; }
    }`,
    );
    // Of iptables, in the same hook: left to iptables-save.
    await host.run("iptables", "-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "DROP");
    const chains = await chainsOf(host);
    expect(chains.map(({ name, priority }) => [name, priority])).toEqual([
      ["inet filter early", -20],
      ["inet filter input", 0],
    ]);
    const input = chains[1]!;
    const fate = (protocol: "tcp" | "udp", port: number, family: "ipv4" | "ipv6" = "ipv4") =>
      outcomes(input, { protocol, family, port }).map(
        ({ verdict, certain, rule }) => `${certain ? "" : "perhaps "}${verdict}: ${rule ?? "policy"}`,
      );
    expect(fate("tcp", 22)).toEqual(['accept: tcp dport { 22, 80-90 } ct state new counter accept comment "hi"']);
    expect(fate("tcp", 85)[0]).toMatch(/^accept: tcp dport \{ 22, 80-90 \}/);
    expect(fate("udp", 85)).toEqual(["drop: policy"]);
    expect(fate("tcp", 5432)).toEqual([
      "perhaps accept: ip saddr 10.0.0.0/8 tcp dport 5432 limit rate 5/second accept",
      "perhaps accept: tcp dport @ports accept",
      "drop: policy",
    ]);
    expect(fate("tcp", 5432, "ipv6")).toEqual(["perhaps accept: tcp dport @ports accept", "drop: policy"]);
    expect(fate("udp", 53)).toEqual(["accept: meta l4proto { tcp, udp } th dport 53 accept"]);
    expect(fate("tcp", 25).at(-1)).toMatch(/^drop: tcp dport vmap/);
    expect(fate("tcp", 26).at(-1)).toMatch(/^accept: tcp dport vmap/);
    expect(fate("tcp", 27).at(-1)).toBe("accept: tcp dport { 27, 28 } accept");
    expect(fate("tcp", 28).slice(1)).toEqual(["perhaps accept: tcp dport { 27, 28 } accept", "drop: policy"]);
    expect(fate("udp", 500, "ipv6").at(-1)).toMatch(/^drop: .*reject/);
    expect(fate("udp", 500)).toEqual(["drop: policy"]);
  });

  it("what iptables holds is read as the kernel means it", async () => {
    await using host = await NetworkNamespace.create();
    // As ufw builds it: chains that are called from INPUT.
    for (const rule of [
      "-N ufw-before-input",
      "-N ufw-user-input",
      "-A INPUT -j ufw-before-input",
      "-A ufw-before-input -i lo -j ACCEPT",
      "-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
      "-A ufw-before-input -j ufw-user-input",
      "-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT",
      "-P INPUT DROP",
    ])
      await host.run("iptables", ...rule.split(" "));
    const input = parseInput(await host.run("iptables-save"), "iptables")!;
    const last = (port: number) => outcomes(input, { protocol: "tcp", family: "ipv4", port }).at(-1);
    expect(last(22)).toMatchObject({ verdict: "accept", certain: true, rule: "-p tcp -m tcp --dport 22 -j ACCEPT" });
    expect(last(23)).toMatchObject({ verdict: "drop", certain: true, rule: undefined });
  });
});
