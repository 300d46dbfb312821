import type { NetworkNamespace } from "@wkfs/core/testing";

/** Everything that the packet filter shows, but for counters and the day on which it was printed. */
export async function picture(host: NetworkNamespace): Promise<string> {
  const texts = [];
  for (const argv of [["nft", "list", "ruleset"], ["iptables-save"], ["ip6tables-save"], ["ipset", "list", "-n"]])
    texts.push(`${argv.join(" ")}\n${await host.run(...argv)}`);
  return texts
    .join("\n")
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll(/\[\d+:\d+\]/g, "")
    .replaceAll(/counter packets \d+ bytes \d+/g, "counter");
}
