import { API_VERSION, definePlugin } from "@wkfs/core";
import { IptablesFirewall, RehearsalNetfilter, configSchema } from "@wkfs/iptables";
import { z } from "zod";
import { BothFamilies } from "./both-families.ts";

const FAMILIES = ["ipv4", "ipv6"] as const;

/**
 * A firewall that prints the transactions that `iptables` and `ip6tables` would apply, and applies none. What it printed it
 * remembers, so it answers as if the kernel held it.
 */
export default definePlugin({
  name: "dry-run",
  apiVersion: API_VERSION,
  kind: "firewall",
  configSchema: z.strictObject({
    mode: z.enum(["guard", "allow"]).default("guard"),
    parent: z.string().default("INPUT"),
    chain: z.string().default("wkfs"),
    families: z
      .array(z.enum(FAMILIES))
      .min(1)
      .max(2)
      .default([...FAMILIES]),
  }),
  async create({ families, ...settings }, context) {
    const print = (text: string): void => void process.stdout.write(`${text}\n`);
    const firewalls = families.map((family) => {
      const netfilter = new RehearsalNetfilter({ family, now: () => context.clock.now(), print });
      return IptablesFirewall.create(family, configSchema(family).parse(settings), context, netfilter);
    });
    return new BothFamilies(await Promise.all(firewalls));
  },
});
