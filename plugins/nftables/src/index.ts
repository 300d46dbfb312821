import { API_VERSION, definePlugin } from "@wkfs/core";
import { configSchema } from "./config.ts";
import { NftablesFirewall } from "./firewall.ts";
import { hostNftables } from "./host-nftables.ts";
import { layoutOf } from "./layout.ts";
import { RehearsalNftables } from "./rehearsal.ts";

export { type NftablesConfig, configSchema } from "./config.ts";
export { NftablesFirewall } from "./firewall.ts";
export { RehearsalNftables } from "./rehearsal.ts";

export default definePlugin({
  name: "nftables",
  apiVersion: API_VERSION,
  kind: "firewall",
  configSchema,
  create: (config, context) => new NftablesFirewall(config, context, hostNftables(context.log)),
  async rehearse(config, context, print) {
    const { table } = layoutOf(config, context.protect);
    const held = await hostNftables(context.log).describe(table);
    const rehearsal = new RehearsalNftables({ now: () => context.clock.now(), print });
    if (held !== undefined) rehearsal.hold(table, held);
    return new NftablesFirewall(config, context, rehearsal);
  },
});
