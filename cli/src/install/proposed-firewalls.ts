import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Where Debian keeps programs that the PATH of an ordinary user does not have. */
const SYSTEM = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/**
 * The firewall plugins for a host: nftables where `nft` is there, which holds both families in a table of its own. In
 * `mode: allow`, and where a chain of iptables was named, those who know it.
 */
export function proposedFirewalls({
  mode,
  chainNamed,
}: {
  readonly mode: string;
  readonly chainNamed: boolean;
}): string[] {
  return mode === "guard" && !chainNamed && installed("nft") ? ["nftables"] : ["iptables", "ip6tables"];
}

function installed(program: string): boolean {
  return [...(process.env["PATH"] ?? "").split(delimiter), ...SYSTEM].some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return folder !== "";
    } catch {
      return false;
    }
  });
}
