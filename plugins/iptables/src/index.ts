import { API_VERSION, type Plugin, definePlugin } from "@wkfs/core";
import { type Family, type IptablesConfig, configSchema } from "./config.ts";
import { IptablesFirewall } from "./firewall.ts";
import { hostNetfilter } from "./host-netfilter.ts";
import { RehearsalNetfilter } from "./rehearsal.ts";

export { type Family, type IptablesConfig, configSchema } from "./config.ts";
export { IptablesFirewall } from "./firewall.ts";
export { RehearsalNetfilter } from "./rehearsal.ts";

/** The plugin for one family; `@wkfs/ip6tables` is the other one. */
export function iptablesPlugin(name: string, family: Family): Plugin<"firewall", IptablesConfig> {
  return definePlugin({
    name,
    apiVersion: API_VERSION,
    kind: "firewall",
    configSchema: configSchema(family),
    create: (config, context) => IptablesFirewall.create(family, config, context, hostNetfilter(family, context.log)),
    async rehearse(config, context, print) {
      const host = hostNetfilter(family, context.log);
      const [held, sets] = await Promise.all([host.save(), host.hasSets()]);
      const rehearsal = new RehearsalNetfilter({ family, now: () => context.clock.now(), print, sets });
      rehearsal.hold(held);
      return await IptablesFirewall.create(family, config, context, rehearsal);
    },
  });
}

export default iptablesPlugin("iptables", "ipv4");
