import type { FirewallEntry, ServerAnswers } from "./answers.ts";
import type { Host } from "./detect/host.ts";
import { WEB_SERVER } from "./detect/listeners.ts";
import { whatOthersMean } from "./detect/others.ts";
import type { Finding } from "./finding.ts";
import { parentName } from "./firewall-place.ts";
import { knockFindings } from "./knock-findings.ts";
import { ruleFindings } from "./rule-findings.ts";

/** Everything that this host says about the answers. */
export function findings(answers: ServerAnswers, host: Host): Finding[] {
  const knocked = portOfKnocks(answers, host);
  return [
    ...portFindings(answers, host),
    ...(knocked === undefined || answers.tcp.includes(knocked) ? [] : knockFindings(answers, host, knocked)),
    ...programFindings(answers.firewalls, host),
    ...answers.firewalls.flatMap((entry) => ruleFindings(entry, host.filter.chains, answers)),
    ...whatOthersMean(host.others).map((text) => ({ level: "note", text }) as const),
  ];
}

function portFindings({ tcp, udp, listen, url, transport }: ServerAnswers, { listeners }: Host): Finding[] {
  const found: Finding[] = [];
  const gateway = portOf(listen);
  const knocked = url === undefined ? undefined : webPort(url);
  for (const port of tcp) {
    const web = listeners.find((one) => one.protocol === "tcp" && one.port === port);
    const server = web?.programs.find((name) => WEB_SERVER.test(name));
    if (port === gateway)
      found.push({ level: "problem", text: `tcp/${port} is where the gateway itself listens: nobody could knock.` });
    else if (port === knocked)
      found.push({ level: "problem", text: `tcp/${port} is the port of the URL that clients knock on: nobody could.` });
    else if (server !== undefined)
      found.push({
        level: "warning",
        text: `tcp/${port} is ${server}'s: nobody reaches it without a knock, nor a gateway behind it.`,
      });
    if (port === transport["port"])
      found.push({ level: "problem", text: `tcp/${port} is the port between gateway and daemon.` });
  }
  for (const [protocol, ports] of [
    ["tcp", tcp],
    ["udp", udp],
  ] as const) {
    for (const port of ports) {
      const listener = listeners.find((one) => one.protocol === protocol && one.port === port);
      if (listener === undefined) found.push({ level: "note", text: `Nothing listens on ${protocol}/${port} now.` });
      else if (listener.programs.includes("docker-proxy"))
        found.push({
          level: "problem",
          text: `${protocol}/${port} is published by Docker and does not pass INPUT: wkfs cannot close it.`,
        });
      else if (listener.local)
        found.push({
          level: "note",
          text: `${protocol}/${port} listens on ${listener.addresses.join(", ")} alone: others do not reach it anyway.`,
        });
    }
  }
  return found;
}

/** What the programs of this host cannot do that the configuration asks of them. */
function programFindings(firewalls: readonly FirewallEntry[], { filter }: Host): Finding[] {
  const found: Finding[] = [];
  const uses = new Set(firewalls.map(({ use }) => use));
  const tables = uses.has("iptables") || uses.has("ip6tables");
  if (uses.has("nftables") && !filter.nft)
    found.push({ level: "problem", text: "nft is not installed: apt-get install nftables" });
  if (tables && filter.iptables === undefined)
    found.push({ level: "problem", text: "iptables is not installed: apt-get install iptables ipset" });
  if (tables && !filter.ipset)
    found.push({
      level: "warning",
      text: "ipset is not installed: leases are then rules, which only a running daemon ends. apt-get install ipset, or use --firewall nftables.",
    });
  if (filter.legacyBeside)
    found.push({
      level: "warning",
      text: "iptables-legacy has rules of its own beside those of this host's iptables, and the kernel goes by both: what either drops is dropped. Bring them together: update-alternatives --config iptables",
    });
  const [only] = uses.size === 1 ? uses : [];
  if (only === "iptables" || only === "ip6tables")
    found.push({
      level: "warning",
      text: `${only} guards one family: the ports stay open for the other, unless this host has no address of it.`,
    });
  if (!filter.readable)
    found.push({
      level: "warning",
      text: "The rules of this host could not be read, which needs root: nothing is said about them here.",
    });
  for (const entry of firewalls) {
    const parent = parentName(entry);
    if (
      entry.use === "nftables" &&
      entry.mode === "allow" &&
      filter.readable &&
      !filter.chains.some(({ name }) => name === parent)
    )
      found.push({
        level: "problem",
        text: `There is no chain ${parent} in the hook input of nftables to hang in: give --parent, or use --mode guard.`,
      });
  }
  return found;
}

/** The port of this host that clients knock on: the gateway's, or that of a web server here that passes knocks on to it. */
function portOfKnocks({ listen, url }: ServerAnswers, { listeners }: Host): number | undefined {
  if (!/^(unix:|127\.|\[::1\]|localhost:)/.test(listen)) return portOf(listen);
  const port = url === undefined ? undefined : webPort(url);
  return listeners.some((one) => one.protocol === "tcp" && one.port === port && !one.local) ? port : undefined;
}

/** Of `host:port`; undefined for a Unix socket. */
export function portOf(listen: string): number | undefined {
  const [, port] = /:(\d+)$/.exec(listen) ?? [];
  return listen.startsWith("unix:") || port === undefined ? undefined : Number(port);
}

function webPort(url: string): number | undefined {
  const parsed = URL.parse(url);
  if (parsed === null) return undefined;
  return parsed.port === "" ? (parsed.protocol === "https:" ? 443 : 80) : Number(parsed.port);
}
