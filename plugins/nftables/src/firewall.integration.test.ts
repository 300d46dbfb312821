import { NetworkNamespace, firewallSuite, testContext, whyNoKernel } from "@wkfs/core/testing";
import { describe, it } from "vitest";
import { configSchema } from "./config.ts";
import { NftablesFirewall } from "./firewall.ts";
import { hostNftables } from "./host-nftables.ts";

const reason = whyNoKernel("nft");
const runner = { describe: reason === undefined ? describe : describe.skip, it };
const because = reason === undefined ? "" : ` (skipped: ${reason})`;

/** A host of its own whose administrator has rules, with a firewall of this configuration. */
async function onKernel(settings: object = {}) {
  const host = await NetworkNamespace.create();
  const nft = async (...args: string[]) => void (await host.run("nft", ...args));
  await nft("add table inet filter");
  await nft("add chain inet filter input { type filter hook input priority 0; policy accept; }");
  await nft("add rule inet filter input tcp dport 80 accept");
  await nft("add rule inet filter input tcp dport 22 accept");
  const make = async (more: object = {}) => {
    const config = configSchema.parse({ ...settings, ...more });
    const context = testContext();
    return new NftablesFirewall(config, context, hostNftables(context.log, host.prefix));
  };
  return {
    host,
    make,
    makeSecond: () => make({ name: "other" }),
    now: () => Date.now(),
    snapshot: async () =>
      (await host.run("nft", "--stateless", "list", "ruleset")).replaceAll(/ timeout \w+ expires \w+/g, ""),
    harm: {
      "nft flush ruleset": () => nft("flush ruleset"),
      "deleting the table": () => nft("delete table inet wkfs"),
      "switching the table off": () => nft("add table inet wkfs { flags dormant; }"),
      "flushing the chain": () => nft("flush chain inet wkfs guard"),
      "deleting the chain": () => nft("flush chain inet wkfs guard; delete chain inet wkfs guard"),
      "deleting chain and set": () =>
        nft("flush chain inet wkfs guard; delete chain inet wkfs guard; delete set inet wkfs open_v4"),
      "a rule in front": () => nft("insert rule inet wkfs guard accept"),
      "a rule behind": () => nft("add rule inet wkfs guard accept"),
      "another policy": () => nft("chain inet wkfs guard { policy drop; }"),
    },
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

firewallSuite(`nftables, guard${because}`, runner, () => onKernel());
