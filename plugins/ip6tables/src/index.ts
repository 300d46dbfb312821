import { iptablesPlugin } from "@wkfs/iptables";

/** The same as `@wkfs/iptables`, for IPv6. */
export default iptablesPlugin("ip6tables", "ipv6");
