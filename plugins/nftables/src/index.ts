import { API_VERSION, definePlugin } from "@wkfs/core";
import { configSchema } from "./config.ts";
import { NftablesFirewall } from "./firewall.ts";
import { hostNftables } from "./host-nftables.ts";

export { type NftablesConfig, configSchema } from "./config.ts";
export { NftablesFirewall } from "./firewall.ts";
export { RehearsalNftables } from "./rehearsal.ts";

export default definePlugin({
  name: "nftables",
  apiVersion: API_VERSION,
  kind: "firewall",
  configSchema,
  create: (config, context) => new NftablesFirewall(config, context, hostNftables(context.log)),
});
