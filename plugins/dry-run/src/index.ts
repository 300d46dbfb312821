import { API_VERSION, type Plugin, definePlugin } from "@wkfs/core";
import { IptablesFirewall, RehearsalNetfilter, configSchema } from "@wkfs/iptables";
import { z } from "zod";
import { BothFamilies } from "./both-families.ts";

const FAMILIES = ["ipv4", "ipv6"] as const;

const schema = z
  .strictObject({
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
  .superRefine(({ families, ...settings }, context) => {
    const checked = configSchema(families[0] ?? "ipv4").safeParse(settings);
    for (const { path, message } of checked.error?.issues ?? []) context.addIssue({ code: "custom", path, message });
  });

export type DryRunConfig = z.output<typeof schema>;

/** Where the transactions are printed. */
export interface Output {
  write(text: string): unknown;
}

/**
 * A firewall that prints the transactions that `iptables` and `ip6tables` would apply, and applies none. What it printed it
 * remembers, so it answers as if the kernel held it. Prints to stdout unless an embedder says otherwise.
 */
export function dryRun(output?: Output): Plugin<"firewall", DryRunConfig> {
  return definePlugin({
    name: "dry-run",
    apiVersion: API_VERSION,
    kind: "firewall",
    configSchema: schema,
    async create({ families, ...settings }, context) {
      const print = (text: string): void => void (output ?? process.stdout).write(`${text}\n`);
      const firewalls = families.map((family) => {
        const netfilter = new RehearsalNetfilter({ family, now: () => context.clock.now(), print });
        return IptablesFirewall.create(family, configSchema(family).parse(settings), context, netfilter);
      });
      return new BothFamilies(await Promise.all(firewalls));
    },
  });
}

export default dryRun();
