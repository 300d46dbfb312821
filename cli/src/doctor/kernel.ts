import { type Found, error, note, ok, warning } from "./finding.ts";
import { type Ran, run } from "./run.ts";

/** One ability of the kernel that a packet filter of ours needs. */
export interface Probe {
  /** What it is called in the kernel. */
  readonly name: string;
  readonly what: string;
  /** Without it no lease is held; or only the guard's own end is missing. */
  readonly must: boolean;
  readonly argv: readonly [string, ...string[]];
  readonly input?: string;
}

/** In a network namespace of its own, which is gone with the command: nothing of this host is touched. */
const APART = ["unshare", "--net", "--"] as const;
const TABLE = "add table inet probe\nadd chain inet probe c { type filter hook input priority -10; }\n";
const UNTIL = "2037-01-01";

/** What each of the bundled packet filters asks of the kernel. */
export function probesFor(use: string, config: Readonly<Record<string, unknown>> = {}): Probe[] {
  const nft = (name: string, what: string, must: boolean, rules: string): Probe => ({
    name,
    what,
    must,
    argv: [...APART, "nft", "-f", "-"],
    input: TABLE + rules,
  });
  if (use === "nftables")
    return [
      nft(
        "nf_tables",
        "nftables with sets whose elements end by themselves",
        true,
        "add set inet probe s { type ipv4_addr . inet_proto . inet_service; flags timeout; }\n" +
          "add element inet probe s { 192.0.2.1 . 6 . 22 timeout 9s }\n" +
          "add rule inet probe c ip saddr . meta l4proto . th dport @s accept\n",
      ),
      nft("nf_conntrack", "the state of connections", true, "add rule inet probe c ct state established return\n"),
      nft(
        "nft_meta",
        "rules that end at a time of day",
        false,
        `add rule inet probe c meta time < "${UNTIL} 00:00:00" drop\n`,
      ),
    ];
  if (use !== "iptables" && use !== "ip6tables") return [];
  const rule = (name: string, what: string, must: boolean, ...match: string[]): Probe => ({
    name,
    what,
    must,
    argv: [...APART, use, "-A", "INPUT", ...match, "-j", "RETURN"],
  });
  const family = use === "iptables" ? "inet" : "inet6";
  // Two programs in one namespace; nothing in the text is anybody's input.
  const sets = `ipset create probe hash:ip,port family ${family} timeout 9 && ${use} -A INPUT -m set --match-set probe src,dst -j ACCEPT`;
  return [
    rule("x_tables", use, true),
    rule("xt_conntrack", "the state of connections", true, "-m", "conntrack", "--ctstate", "ESTABLISHED"),
    ...(config["ipset"] === "never"
      ? []
      : [
          {
            name: "ip_set, xt_set",
            what: "sets whose elements end by themselves",
            must: config["ipset"] === "always",
            argv: [...APART, "sh", "-c", sets] as const,
          },
        ]),
    rule("xt_time", "rules that end at a time of day", false, "-m", "time", "--datestop", `${UNTIL}T00:00:00`),
  ];
}

export interface Probed {
  readonly use: string;
  readonly probe: Probe;
  readonly ran: Ran | undefined;
}

export function kernelFindings(probed: readonly Probed[]): Found[] {
  return probed.map(({ use, probe, ran }) => {
    const { name, what, must } = probe;
    if (ran?.code === 0) return ok(`${use}: the kernel has ${what} (${name})`);
    if (ran === undefined || /unshare: /.test(ran.stderr))
      return note(`${use}: whether the kernel has ${what} (${name}) only root can try`, "sudo wkfs doctor");
    const said = ran.stderr.trim().split("\n")[0] ?? "";
    const module = name.split(", ")[0]!;
    const mend = /not found/.test(said)
      ? `apt-get install ipset ${use}`
      : `modprobe ${module}  # or a kernel that has it`;
    return (must ? error : warning)(`${use}: there is no ${what} (${name}): ${said}`, mend);
  });
}

export async function probeKernel(
  firewalls: readonly { readonly use: string; readonly config: Readonly<Record<string, unknown>> | undefined }[],
): Promise<Probed[]> {
  const all = firewalls.flatMap(({ use, config }) => probesFor(use, config).map((probe) => ({ use, probe })));
  return await Promise.all(
    all.map(async ({ use, probe }) => ({ use, probe, ran: await run(probe.argv, probe.input) })),
  );
}
