import { NetworkNamespace, firewallSuite, testContext, whyNoKernel } from "@wkfs/core/testing";
import { parseAddress } from "@wkfs/core";
import { describe, it } from "vitest";
import { type Family, configSchema } from "./config.ts";
import { IptablesFirewall } from "./firewall.ts";
import { hostNetfilter } from "./netfilter.ts";

const reason = whyNoKernel("iptables", "ip6tables", "ipset");
const runner = { describe: reason === undefined ? describe : describe.skip, it };
const because = reason === undefined ? "" : ` (skipped: ${reason})`;

/** A host of its own whose administrator has rules, with a firewall of this configuration. */
async function onKernel(family: Family, settings: object) {
  const host = await NetworkNamespace.create();
  const tables = family === "ipv4" ? "iptables" : "ip6tables";
  await host.run(
    tables,
    "-A",
    "INPUT",
    "-p",
    "tcp",
    "--dport",
    "80",
    "-m",
    "comment",
    "--comment",
    "a web server",
    "-j",
    "ACCEPT",
  );
  await host.run(tables, "-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT");
  const make = async (more: object = {}) => {
    const config = configSchema(family).parse({ ...settings, ...more });
    const context = testContext();
    return await IptablesFirewall.create(family, config, context, hostNetfilter(family, context.log, host.prefix));
  };
  const sets = !("ipset" in settings);
  const set = `wkfs-${family === "ipv4" ? "v4" : "v6"}`;
  const full = (number: number) => ({
    address: parseAddress(`${family === "ipv4" ? "10.99.0." : "fd99::"}${number}`),
    port: { protocol: "tcp" as const, number: 22 },
    client: "suite",
    openedAt: Date.now(),
    deadline: Date.now() + 60_000,
  });
  return {
    make,
    makeSecond: () => make({ chain: "other", set: `other-${set}` }),
    now: () => Date.now(),
    refused: () => [full(1), { ...full(2), port: { protocol: "tcp", number: 70_000 } }] as const,
    async snapshot() {
      const saved = await host.run(`${tables}-save`);
      // Counters, dates and what ipset says of memory are not ours.
      return `${saved.replaceAll(/^#.*$|\[\d+:\d+\]/gm, "")}${await host.run("ipset", "list", "-n")}`;
    },
    harm: {
      "flushing the table": async () => void (await host.run(tables, "-F")),
      "deleting the jump": async () => void (await host.run(tables, "-D", "INPUT", "1")),
      "flushing the chain": async () => void (await host.run(tables, "-F", "wkfs")),
      "a rule in front": async () => void (await host.run(tables, "-I", "INPUT", "-p", "tcp", "-j", "ACCEPT")),
      "a rule taken out of the chain": async () => void (await host.run(tables, "-D", "wkfs", "1")),
      "deleting everything": async () => {
        await host.run(tables, "-F");
        await host.run(tables, "-X");
        if (sets) await host.exec(["ipset", "destroy"]);
      },
      ...(sets && { "flushing the set": async () => void (await host.run("ipset", "flush", set)) }),
    },
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

for (const family of ["ipv4", "ipv6"] as const) {
  firewallSuite(`iptables for ${family}, guard with sets${because}`, runner, () => onKernel(family, {}));
}
firewallSuite(`iptables, guard without sets${because}`, runner, () => onKernel("ipv4", { ipset: "never" }));
