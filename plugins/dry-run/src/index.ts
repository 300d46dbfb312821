import { API_VERSION, type Firewall, type Plugin, type PluginContext, definePlugin } from "@wkfs/core";
import { IptablesFirewall, RehearsalNetfilter, configSchema } from "@wkfs/iptables";
import { NftablesFirewall, RehearsalNftables, configSchema as nftablesSchema } from "@wkfs/nftables";
import { z } from "zod";
import { BothFamilies } from "./both-families.ts";

const FAMILIES = ["ipv4", "ipv6"] as const;

const iptables = z
  .strictObject({
    for: z
      .literal("iptables")
      .default("iptables")
      .describe("Which plugin's transaction is printed. With `nftables` all that follows are its keys."),
    mode: z.enum(["guard", "allow"]).default("guard").describe("As with `iptables`, and so the next two."),
    parent: z.string().default("INPUT").describe("The chain of yours that ours would hang in."),
    chain: z.string().default("wkfs").describe("Name of our chain."),
    families: z
      .array(z.enum(FAMILIES))
      .min(1)
      .refine((families) => new Set(families).size === families.length, "names a family twice")
      .default([...FAMILIES])
      .describe("The address families."),
  })
  // What iptables would refuse is refused here, and not only when it is printed.
  .superRefine(({ families, ...config }, context) => {
    const checked = configSchema(families[0] ?? "ipv4").safeParse(without(config));
    for (const { path, message } of checked.error?.issues ?? []) context.addIssue({ code: "custom", path, message });
  });

/** What stands beside it is what stands beside `use: nftables`, and nftables' own schema says what that may be. */
const nftables = z.looseObject({ for: z.literal("nftables").describe("As above.") }).superRefine((config, context) => {
  for (const { path, message } of nftablesSchema.safeParse(without(config)).error?.issues ?? [])
    context.addIssue({ code: "custom", path, message });
});

const schema = z.union([iptables, nftables]);

export type DryRunConfig = z.output<typeof schema>;

/** Where the transactions are printed. */
export interface Output {
  write(text: string): unknown;
}

/**
 * A firewall that prints the transactions that `iptables` and `ip6tables`, or with `for: nftables` that one, would apply, and applies none. What it printed it
 * remembers, so it answers as if the kernel held it. Prints to stdout unless an embedder says otherwise.
 */
export function dryRun(output?: Output): Plugin<"firewall", DryRunConfig> {
  return definePlugin({
    name: "dry-run",
    apiVersion: API_VERSION,
    kind: "firewall",
    configSchema: schema,
    create: (config, context) => make(config, context, (text) => void (output ?? process.stdout).write(`${text}\n`)),
    rehearse: make,
  });
}

async function make(config: DryRunConfig, context: PluginContext, print: (text: string) => void): Promise<Firewall> {
  if (config.for === "nftables") {
    const nft = new RehearsalNftables({ now: () => context.clock.now(), print });
    return new NftablesFirewall(nftablesSchema.parse(without(config)), context, nft);
  }
  const { families, ...rest } = config;
  const firewalls = families.map((family) => {
    const netfilter = new RehearsalNetfilter({ family, now: () => context.clock.now(), print });
    return IptablesFirewall.create(family, configSchema(family).parse(without(rest)), context, netfilter);
  });
  return new BothFamilies(await Promise.all(firewalls));
}

/** What is for the other plugin. */
function without(config: object): object {
  return Object.fromEntries(Object.entries(config).filter(([key]) => key !== "for"));
}

export default dryRun();
