import { readFile } from "node:fs/promises";
import type { Program } from "./programs.ts";

/** Programs that write packet filters of their own. */
export interface OtherFirewalls {
  readonly firewalld: boolean;
  readonly ufw: boolean;
  readonly docker: boolean;
}

/** By what they have in the packet filter, by what runs, and by what the configuration says: a filter may not be up yet. */
export async function otherFirewalls(
  texts: readonly string[],
  programs: readonly Program[],
  etc = "/etc",
): Promise<OtherFirewalls> {
  const ufw = await readFile(`${etc}/ufw/ufw.conf`, "utf8").catch(() => "");
  const runs = (name: string) => programs.some((program) => program.name === name);
  const holds = (pattern: RegExp) => texts.some((text) => pattern.test(text));
  return {
    firewalld: runs("firewalld") || holds(/^table inet firewalld /m),
    ufw: /^ENABLED=yes$/m.test(ufw) || holds(/^:ufw6?-before-input |^\tchain ufw6?-before-input /m),
    docker: runs("dockerd") || holds(/^:DOCKER |^\tchain DOCKER /m),
  };
}

/** What it means for wkfs that they are there, a sentence or two each. */
export function whatOthersMean({ firewalld, ufw, docker }: OtherFirewalls): string[] {
  return [
    ...(firewalld
      ? [
          "firewalld: leave the protected ports open in firewalld, since in nftables its drop holds against our accept. `firewall-cmd --reload` removes what strangers have in its tables, and leaves ours alone.",
        ]
      : []),
    ...(ufw
      ? [
          "ufw: its rules are chains of iptables. With iptables and ip6tables our jump stands first in INPUT, and is put back there when ufw was reloaded; its own rules for the protected ports then have no effect on them.",
        ]
      : []),
    ...(docker
      ? [
          "Docker: ports that containers publish are forwarded and do not pass INPUT, so wkfs does not guard them. Publish them on 127.0.0.1, or filter them in the chain DOCKER-USER.",
        ]
      : []),
  ];
}
