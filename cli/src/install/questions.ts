import { checkbox, confirm, input, number, select } from "@inquirer/prompts";
import { parseDuration } from "../duration.ts";
import { type Section, type ServerAnswers, WEB_SERVERS, type WebServer, withTakeOut } from "./answers.ts";
import type { Host } from "./detect/host.ts";
import { WEB_SERVER, protectable, worthProtecting } from "./detect/listeners.ts";
import type { Former } from "./former.ts";
import { acceptingRules } from "./rule-findings.ts";
import { type Proposal, type Wish, propose, usedPorts } from "./wish.ts";

/** What is asked of a person. Loaded at a terminal alone. */

interface Asked {
  readonly proposal: Proposal;
  readonly behind: WebServer | undefined;
  /** Whether a test message shall be sent. */
  readonly test: boolean;
}

/** Asks for what no flag says, with the proposal as what Enter gives. */
export async function askServer(wish: Wish, former: Former | undefined, host: Host, path: string): Promise<Asked> {
  const fresh = () => path;
  const first = propose(wish, former, host, fresh).answers;
  const ports = wish.tcp === undefined && wish.udp === undefined ? await askPorts(first, host) : first;
  const maxTime = wish.maxTime ?? (await askTime(first.maxTime));
  const behind = wish.behind ?? (await askBehind(host, former));
  const listen = wish.listen ?? (await askListen(first.listen, behind, former));
  const url = wish.url ?? (await askUrl(first, listen, behind));
  let said: Wish = { ...wish, tcp: ports.tcp, udp: ports.udp, maxTime, behind, listen, url };
  if ((wish.firewall.uses ?? wish.firewall.mode) === undefined) said = await askFirewall(said, former, host, fresh);
  if (wish.transport === undefined && wish.transportPort === undefined)
    said = { ...said, transport: await askTransport(propose(said, former, host, fresh).answers.transport.use) };
  if (wish.notify.length === 0) said = { ...said, notify: await askNotifiers(first.notify) };
  const proposal = propose(said, former, host, fresh);
  const asksRules = wish.takeOut === undefined && !wish.takeOutAccepting;
  const answers = asksRules ? await askTakeOut(proposal.answers, host) : proposal.answers;
  const test =
    answers.notify.length > 0 &&
    (await confirm({ message: "Send a test message when all is written?", default: true }));
  return { proposal: { ...proposal, answers }, behind: behind === "none" ? undefined : behind, test };
}

async function askPorts(first: ServerAnswers, host: Host): Promise<Pick<ServerAnswers, "tcp" | "udp">> {
  const known = first.tcp.length + first.udp.length > 0;
  const choices = host.listeners.filter(protectable).map((listener) => {
    const { protocol, port, programs } = listener;
    return {
      value: `${protocol}/${port}`,
      name: `${protocol}/${port}  ${programs.join(", ")}`,
      checked: known ? first[protocol].includes(port) : worthProtecting(listener),
    };
  });
  const offered = new Set(choices.map(({ value }) => value));
  const chosen =
    choices.length === 0
      ? []
      : await checkbox({ message: "Which ports shall be closed until somebody knocks?", choices });
  const others = [...first.tcp.map((port) => `tcp/${port}`), ...first.udp.map((port) => `udp/${port}`)];
  const more = await input({
    message: "Others (such as 5432, udp/1194):",
    default: others.filter((name) => !offered.has(name)).join(", "),
    validate: (text) => {
      const ports = readPorts(text);
      if (ports === undefined) return "Expected ports such as 5432, udp/1194.";
      return ports.length + chosen.length > 0 || "At least one port is needed.";
    },
  });
  const all = [...chosen, ...(readPorts(more) ?? [])].map((name) => name.split("/") as ["tcp" | "udp", string]);
  const of = (wanted: string) => [
    ...new Set(all.flatMap(([protocol, port]) => (protocol === wanted ? [Number(port)] : []))),
  ];
  return { tcp: of("tcp"), udp: of("udp") };
}

/** `tcp/5432`, `udp/1194`; undefined for what is no list of ports. */
export function readPorts(text: string): string[] | undefined {
  const words = text.split(/[\s,]+/).filter((word) => word !== "");
  const ports = words.map((word) => /^(?:(tcp|udp)\/)?(\d{1,5})$/.exec(word));
  const right = ports.every((match) => match !== null && Number(match[2]) >= 1 && Number(match[2]) <= 65_535);
  return right ? ports.map((match) => `${match![1] ?? "tcp"}/${Number(match![2])}`) : undefined;
}

async function askTime(preset: number): Promise<number> {
  const text = await input({
    message: "Longest time that a port stays open after a knock (90s, 10m, 2h):",
    default: `${preset}s`,
    validate: (given) => parseDuration(given) !== undefined || "Expected a time such as 90s, 10m or 2h.",
  });
  return parseDuration(text)!;
}

async function askBehind(host: Host, former: Former | undefined): Promise<WebServer | "none"> {
  const names = host.listeners.flatMap(({ programs }) => programs.filter((name) => WEB_SERVER.test(name)));
  const running = WEB_SERVERS.find((server) =>
    names.some((name) => name.startsWith(server) || (server === "apache" && name === "httpd")),
  );
  const found =
    former === undefined ? running : former.answers.trustedProxies.length > 0 ? (running ?? "nginx") : undefined;
  return await select({
    message: "How do clients reach the gateway?",
    default: found ?? "none",
    choices: [
      { value: "none", name: "directly" },
      ...WEB_SERVERS.map((server) => ({
        value: server,
        name: `through ${server}${server === running ? ", which runs here" : ""}`,
      })),
    ],
  });
}

async function askListen(preset: string, behind: WebServer | "none", former: Former | undefined): Promise<string> {
  // By itself it is of no use on the loopback alone.
  const usual = former === undefined && behind === "none" ? "0.0.0.0:8080" : preset;
  return await input({
    message: "Where does the gateway listen (host:port or unix:/path)?",
    default: usual,
    validate: (text) =>
      /^(unix:\/.+|\[[0-9a-fA-F:.]+\]:\d{1,5}|[^\s:/]+:\d{1,5})$/.test(text) ||
      "Expected host:port, [v6]:port or unix:/path.",
  });
}

async function askUrl({ url, path }: ServerAnswers, listen: string, behind: WebServer | "none"): Promise<string> {
  const { hostname } = await import("node:os");
  const port = /:(\d+)$/.exec(listen)?.[1];
  const usual = behind === "none" ? `http://${hostname()}:${port ?? 80}${path}` : `https://${hostname()}${path}`;
  return await input({
    message: "The URL that clients use:",
    default: url ?? usual,
    validate: (text) =>
      /^https?:$/.test(URL.parse(text)?.protocol ?? "") || "Expected a URL that begins with http:// or https://.",
  });
}

async function askFirewall(wish: Wish, former: Former | undefined, host: Host, path: () => string): Promise<Wish> {
  const { answers, because } = propose(wish, former, host, path);
  const preset = answers.firewalls.map(({ use }) => use).join("+");
  const plan = answers.firewalls[0]?.mode ?? "guard";
  const names = [...new Set([preset, "nftables", "iptables+ip6tables"])];
  const uses = await select({
    message: `Which packet filter? (${because})`,
    default: preset,
    choices: names.map((value) => ({ value, name: value.replace("+", " and ") })),
  });
  const mode = await select({
    message: "Who closes the ports?",
    default: uses === preset ? plan : "guard",
    choices: [
      { value: "guard", name: "wkfs, whatever your own rules say (guard)" },
      { value: "allow", name: "your own rules; wkfs only lets in who knocked (allow)" },
    ] as const,
  });
  if (uses === preset && mode === plan) return wish;
  return { ...wish, firewall: { ...wish.firewall, uses: uses.split("+"), mode } };
}

async function askTakeOut(answers: ServerAnswers, host: Host): Promise<ServerAnswers> {
  const firewalls = [];
  for (const entry of answers.firewalls) {
    const rules = acceptingRules(entry, host.filter.chains, answers, usedPorts(host));
    if (rules.length === 0) {
      firewalls.push(entry);
      continue;
    }
    const before = new Set(Array.isArray(entry["takeOut"]) ? entry["takeOut"].map(String) : []);
    const out = await checkbox({
      message: `These rules for ${entry.use} let everybody in. Which shall be out while wkfs runs? They are put back when it stops.`,
      choices: rules.map(({ rule, also }) => ({
        value: rule,
        name: also.length === 0 ? rule : `${rule}  (also for ${also.join(", ")})`,
        checked: before.size > 0 ? before.has(rule) : also.length === 0,
      })),
    });
    firewalls.push(withTakeOut(entry, out));
  }
  return { ...answers, firewalls };
}

async function askTransport(preset: string): Promise<string> {
  return await select<string>({
    message: "How do gateway and daemon speak with each other?",
    default: preset,
    choices: [
      { value: "unix-socket", name: "unix-socket: both are wkfs, on this host" },
      { value: "localhost-tcp", name: "localhost-tcp: one of them is the PHP program's" },
    ],
  });
}

async function askNotifiers(before: readonly Section[]): Promise<Section[]> {
  const KINDS = ["smtp-email", "webhook", "syslog"];
  const chosen = await checkbox({
    message: "Who is told when a port was opened?",
    choices: KINDS.map((value) => ({ value, checked: before.some(({ use }) => use === value) })),
  });
  const said: Section[] = [];
  for (const use of chosen) {
    const present = before.find((section) => section.use === use);
    if (use === "smtp-email") said.push(await askMail(present));
    else if (use === "webhook") said.push({ ...present, use, url: await askHook(present) });
    else said.push(present ?? { use });
  }
  return said;
}

async function askMail(present: Section | undefined): Promise<Section> {
  const text = (key: string, preset: string) => String(present?.[key] ?? preset);
  const isAddress = (given: string) => /^[^\s@]+@[^\s@]+$/.test(given) || "Expected one mail address.";
  const host = await input({ message: "Mail server:", default: text("host", "localhost"), required: true });
  const port = await number({
    message: "Its port:",
    default: Number(text("port", "587")),
    min: 1,
    max: 65_535,
    required: true,
  });
  const from = await input({ message: "Sender:", default: text("from", ""), validate: isAddress });
  const preset = Array.isArray(present?.["to"]) ? present["to"].join(", ") : "";
  const to = await input({
    message: "Receivers:",
    default: preset,
    validate: (given) => given.split(/[\s,]+/).every((one) => isAddress(one) === true) || "Expected mail addresses.",
  });
  return { ...present, use: "smtp-email", host, port, from, to: to.split(/[\s,]+/) };
}

async function askHook(present: Section | undefined): Promise<string> {
  return await input({
    message: "URL that is posted to (where the URL is a secret, use --webhook-url-file instead):",
    default: String(present?.["url"] ?? ""),
    validate: (text) => /^https?:$/.test(URL.parse(text)?.protocol ?? "") || "Expected a URL.",
  });
}

/** Whether what the plan says shall be done. */
export async function askToGoOn(message: string, preset: boolean): Promise<boolean> {
  return await confirm({ message, default: preset });
}
