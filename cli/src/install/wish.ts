import { dirname, join, resolve } from "node:path";
import { SERVER_DIR } from "../config-path.ts";
import { type FirewallEntry, type Section, type ServerAnswers, type WebServer, withTakeOut } from "./answers.ts";
import type { Host } from "./detect/host.ts";
import type { Former } from "./former.ts";
import { type FirewallProposal, type FirewallWish, proposedFirewalls, proposedPorts } from "./proposal.ts";
import { acceptingRules } from "./rule-findings.ts";
import { proxiesFor } from "./snippets.ts";

/** What flags say; undefined where they say nothing. */
export interface Wish {
  readonly folder: string;
  readonly stateDir: string;
  readonly tcp: readonly number[] | undefined;
  readonly udp: readonly number[] | undefined;
  readonly maxTime: number | undefined;
  readonly listen: string | undefined;
  readonly path: string | undefined;
  readonly url: string | undefined;
  readonly behind: WebServer | "none" | undefined;
  readonly trustedProxies: readonly string[] | undefined;
  readonly transport: string | undefined;
  readonly transportPort: number | undefined;
  readonly firewall: FirewallWish;
  readonly position: number | undefined;
  readonly takeOut: readonly string[] | undefined;
  /** Take out what is about the protected ports alone. */
  readonly takeOutAccepting: boolean;
  readonly notify: readonly Section[];
  /** A path, or `none`. */
  readonly control: string | undefined;
  readonly group: string | undefined;
}

export interface Proposal {
  readonly answers: ServerAnswers;
  /** Why these firewalls. */
  readonly because: string;
}

/** The answers that flags, a former installation and this host give together, in this order of weight. */
export function propose(wish: Wish, former: Former | undefined, host: Host, freshPath: () => string): Proposal {
  const before = former?.answers;
  const listen = wish.listen ?? before?.listen ?? "127.0.0.1:8080";
  const ports = { tcp: wish.tcp ?? before?.tcp ?? [], udp: wish.udp ?? before?.udp ?? [] };
  const { firewalls, because } = firewallsFor(wish, former, host, ports);
  const trusted =
    wish.behind === undefined ? (before?.trustedProxies ?? []) : wish.behind === "none" ? [] : proxiesFor(listen);
  return {
    because,
    answers: {
      ...ports,
      maxTime: wish.maxTime ?? before?.maxTime ?? 600,
      listen,
      path: wish.path ?? before?.path ?? freshPath(),
      url: wish.url ?? (before && formerUrl(before, wish.path ?? before.path)),
      trustedProxies: wish.trustedProxies ?? trusted,
      transport: transportFor(wish, before),
      firewalls: firewalls.map((entry) => withTakeOut(entry, takenOut(entry, wish, host, ports))),
      notify: notifiersFor(wish.notify, before?.notify ?? []),
      control: controlFor(wish, former),
    },
  };
}

/** The ports that are proposed where nobody says any: with `--yes`, or to a person. */
export function withProposedPorts(proposal: Proposal, wish: Wish, host: Host): Proposal {
  const { answers } = proposal;
  if (answers.tcp.length + answers.udp.length > 0) return proposal;
  const ports = proposedPorts(host);
  return propose({ ...wish, ...ports }, undefined, host, () => answers.path);
}

/** The URL that clients know, with the path of now; one that was made of `listen` is made anew. */
function formerUrl({ url, listen, path }: ServerAnswers, now: string): string | undefined {
  if (url === undefined || url === `http://${listen}${path}`) return undefined;
  return url.endsWith(path) ? url.slice(0, -path.length) + now : url;
}

function firewallsFor(
  wish: Wish,
  former: Former | undefined,
  host: Host,
  ports: Pick<ServerAnswers, "tcp" | "udp">,
): FirewallProposal {
  const { uses, mode, parent, chain } = wish.firewall;
  const kept = former?.answers.firewalls ?? [];
  const unsaid = (uses ?? mode ?? parent ?? chain) === undefined;
  if (kept.length > 0 && unsaid) return { firewalls: kept, because: "as it is configured now" };
  const position = wish.position === undefined ? {} : { position: wish.position };
  const wished =
    uses === undefined && kept.length > 0 ? { ...wish.firewall, uses: kept.map(({ use }) => use) } : wish.firewall;
  const { firewalls, because } = proposedFirewalls(host, ports, wished);
  return { firewalls: firewalls.map((entry) => (entry.mode === "allow" ? { ...entry, ...position } : entry)), because };
}

function takenOut(entry: FirewallEntry, wish: Wish, host: Host, ports: Pick<ServerAnswers, "tcp" | "udp">): string[] {
  const kept = Array.isArray(entry["takeOut"]) ? entry["takeOut"].map(String) : [];
  if (wish.takeOut === undefined && !wish.takeOutAccepting) return kept;
  const found = wish.takeOutAccepting ? offeredRules(entry, host, ports) : [];
  return [...new Set([...(wish.takeOut ?? []), ...found])];
}

/** The rules of a parent that are about protected ports alone, and that a plugin can remember. */
export function offeredRules(entry: FirewallEntry, host: Host, ports: Pick<ServerAnswers, "tcp" | "udp">): string[] {
  return acceptingRules(entry, host.filter.chains, ports, usedPorts(host))
    .filter(({ also, rule }) => also.length === 0 && rule.length <= LONGEST_RULE)
    .map(({ rule }) => rule);
}

/** Characters of a rule that iptables can remember in a comment. */
const LONGEST_RULE = 150;

/** All on which something listens. */
export function usedPorts({ listeners }: Host): Pick<ServerAnswers, "tcp" | "udp"> {
  const of = (protocol: string) => listeners.filter((one) => one.protocol === protocol).map(({ port }) => port);
  return { tcp: of("tcp"), udp: of("udp") };
}

/**
 * Both halves are ours and on one host, so `unix-socket` needs no secret and nobody can take its place; but only where the system's
 * folders are used, since its own must be the daemon's. `localhost-tcp` is for the PHP program's halves.
 */
function transportFor(wish: Wish, before: ServerAnswers | undefined): Section {
  const use =
    wish.transport ??
    (wish.transportPort === undefined ? before?.transport.use : "localhost-tcp") ??
    usualTransport(wish);
  const kept = before?.transport.use === use ? before.transport : undefined;
  if (use === "unix-socket")
    return kept ?? { use, path: "/run/wkfs/daemon.sock", ...(wish.group !== undefined && { group: wish.group }) };
  if (use !== "localhost-tcp") return kept ?? { use };
  const port = wish.transportPort ?? kept?.["port"] ?? 33_491;
  return { use, host: "127.0.0.1", port, secret: join(wish.folder, "transport.secret"), ...omit(kept, "port", "use") };
}

function usualTransport({ folder }: Wish): string {
  return resolve(folder) === SERVER_DIR ? "unix-socket" : "localhost-tcp";
}

function omit(section: Section | undefined, ...keys: readonly string[]): object {
  return Object.fromEntries(Object.entries(section ?? {}).filter(([key]) => !keys.includes(key)));
}

/** A notifier that is said anew takes the place of the one of its kind. */
function notifiersFor(said: readonly Section[], before: readonly Section[]): Section[] {
  const uses = new Set(said.map(({ use }) => use));
  return [...before.filter(({ use }) => !uses.has(use)), ...said];
}

/** Bytes that the path of a socket may have. */
const LONGEST_SOCKET = 93;

function controlFor(wish: Wish, former: Former | undefined): ServerAnswers["control"] {
  if (wish.control === "none") return undefined;
  if (wish.control === undefined && former !== undefined) return former.answers.control ?? usualControl(wish);
  return wish.control === undefined ? usualControl(wish) : { path: resolve(wish.control) };
}

/** Away from the system's folders it is beside the state, where the caller may write. */
function usualControl({ folder, stateDir }: Wish): ServerAnswers["control"] {
  const path = resolve(folder) === SERVER_DIR ? "/run/wkfs/control.sock" : join(stateDir, "control.sock");
  return Buffer.byteLength(path) > LONGEST_SOCKET || dirname(path) === "/" ? undefined : { path };
}
