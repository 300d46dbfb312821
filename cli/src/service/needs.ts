import { dirname, resolve } from "node:path";
import { WkfsError } from "@wkfs/core";
import type { PluginUse, ServerConfig } from "@wkfs/core/config";
import type { RelayTarget } from "@wkfs/core/host";

/** What a role needs of the host, by its configuration. Nothing else is granted. */
export interface Needs {
  readonly capabilities: readonly string[];
  /** Address families of sockets that it makes, also by the programs that it starts. */
  readonly families: readonly string[];
  /** Whom it speaks with over IP. */
  readonly ip: "nobody" | "localhost" | "anybody";
  /** Files that only root need be able to read: the service manager hands them over. Absolute. */
  readonly secrets: readonly string[];
  /** Folders that it writes below /run and below /var/lib, by their names there; and others, absolute. */
  readonly runtime: readonly string[];
  readonly state: readonly string[];
  readonly writes: readonly string[];
  /** Whether it gives a socket of its own to a group. */
  readonly chowns: boolean;
  /** Where the service manager listens for it: `127.0.0.1:33491`. */
  readonly handed: string | undefined;
  /** What it reaches by relays of the service manager's, and not by IP sockets of its own. */
  readonly relays: readonly RelayTarget[];
}

/** Keys of bundled plugins that name secret files. */
const SECRETS: Readonly<Record<string, readonly string[]>> = {
  "localhost-tcp": ["secret"],
  "smtp-email": ["password"],
  webhook: ["secret", "token", "urlFile"],
};

/** `handsOver`: whether the service manager can have sockets in its place: hand over one that listens, and lead to other hosts. */
export function daemonNeeds(config: ServerConfig, { handsOver }: { readonly handsOver: boolean }): Needs {
  const { firewall, transport, store, notify, control } = config;
  const uses = [...firewall, ...(transport ? [transport] : []), ...(store ? [store] : []), ...notify];
  const sockets = [control?.path, textOf(transport, "path")].filter((path) => path !== undefined);
  const capabilities = new Set(firewall.flatMap(capabilitiesOf));
  const handed = handsOver && transport?.use === "localhost-tcp" ? tcpAddress(transport) : undefined;
  if (handed === undefined && transport?.use === "localhost-tcp" && tcpPort(transport) < 1024)
    capabilities.add("CAP_NET_BIND_SERVICE");
  // Whom an open socket speaks with is for the service manager to say, who opened it.
  const relayed = new Map<PluginUse, RelayTarget>();
  for (const use of handsOver ? notify : []) {
    const target = targetOf(use);
    if (target !== undefined) relayed.set(use, target);
  }
  const own = uses.filter((use) => !relayed.has(use) && (handed === undefined || use !== transport));
  const ip = widest(own.map(reachOf));
  // The `set` match of iptables asks by a raw IPv4 socket.
  const inet = ip !== "nobody" || capabilities.has("CAP_NET_RAW");
  return {
    capabilities: [...capabilities].toSorted(),
    families: ["AF_UNIX", "AF_NETLINK", ...(inet ? ["AF_INET", "AF_INET6"] : [])],
    ip,
    secrets: secretsOf([...(transport ? [transport] : []), ...notify], config.folder),
    // The socket of unix-socket is the gateway's group's, also where nobody says so.
    chowns: control?.group !== undefined || transport?.use === "unix-socket",
    handed,
    relays: [...new Map([...relayed.values()].map((target) => [JSON.stringify(target), target])).values()],
    ...places(sockets, store?.use === "sqlite" ? textOf(store, "path") : undefined),
  };
}

/** `handsOver` as with the daemon. */
export function gatewayNeeds(config: ServerConfig, { handsOver }: { readonly handsOver: boolean }): Needs {
  const { gateway, transport, keySets, control } = config;
  if (gateway === undefined) throw noGateway(config);
  const { listen, tls, workers } = gateway;
  const socket = listen.startsWith("unix:") ? listen.slice("unix:".length) : undefined;
  const daemons = places([control?.path, textOf(transport, "path")].filter((path) => path !== undefined));
  const own = places(socket === undefined ? [] : [socket]);
  const shared = own.runtime.find((name) => daemons.runtime.includes(name));
  if (shared !== undefined) {
    throw new WkfsError(
      "CONFIG_INVALID",
      `${config.source.locate(["gateway", "listen"])}: /run/${shared} is the daemon's folder, in which the gateway, another user, can make no socket`,
      { hint: "Listen on unix:/run/wkfs-gateway/gateway.sock." },
    );
  }
  const port = Number(/:(\d+)$/.exec(listen)?.[1] ?? 65_535);
  // Several processes of one address each make their own socket; and systemd looks up no names.
  const handed = handsOver && workers === 1 && /^([\d.]+|\[[\da-f:.]+\]):/i.test(listen) ? listen : undefined;
  const local = /^(127\.[\d.]+|\[::1\]|localhost):/.test(listen);
  const ip = widest([
    socket !== undefined || handed !== undefined ? "nobody" : local ? "localhost" : "anybody",
    ...(transport ? [reachOf(transport)] : []),
  ]);
  return {
    capabilities: socket === undefined && handed === undefined && port < 1024 ? ["CAP_NET_BIND_SERVICE"] : [],
    families: ["AF_UNIX", ...(ip === "nobody" ? [] : ["AF_INET", "AF_INET6"])],
    ip,
    secrets: [
      ...new Set([
        ...keySets.map(({ keys }) => keys),
        ...(tls ? [tls.cert, tls.key] : []),
        ...secretsOf(transport ? [transport] : [], config.folder),
      ]),
    ],
    chowns: false,
    handed,
    relays: [],
    ...own,
  };
}

export function noGateway({ source }: ServerConfig): WkfsError {
  return new WkfsError("CONFIG_INVALID", `${source.locate([])}: there is no section "gateway"`, {
    hint: "Ask for the daemon alone with --role daemon.",
  });
}

/** The one place that a notifier connects to; undefined where there is none, or nobody can know. */
function targetOf({ use, config }: PluginUse): RelayTarget | undefined {
  const target = (host: string, port: number) => ({ host: host.replaceAll(/^\[|\]$/g, ""), port });
  switch (use) {
    case "smtp-email":
      return target(String(config["host"]), Number(config["port"] ?? 587));
    case "webhook": {
      const url = URL.parse(String(config["url"] ?? ""));
      return url === null
        ? undefined
        : target(url.hostname, Number(url.port) || (url.protocol === "https:" ? 443 : 80));
    }
    case "syslog": {
      const [, host, port] = /^(?:tcp|tls):\/\/(.+):(\d+)$/.exec(String(config["to"] ?? "")) ?? [];
      return host === undefined ? undefined : target(host, Number(port));
    }
    default:
      return undefined;
  }
}

function tcpPort({ config }: PluginUse): number {
  return Number(config["port"] ?? 33_491);
}

/** As systemd.socket(5) wants it: an IPv6 address in brackets. */
function tcpAddress(use: PluginUse): string {
  const host = (textOf(use, "host") ?? "127.0.0.1").replace(/^\[(.*)\]$/, "$1");
  return `${host.includes(":") ? `[${host}]` : host}:${tcpPort(use)}`;
}

/** Rights in the kernel's packet filter. A plugin that is not ours may be a packet filter too. */
function capabilitiesOf({ use, config }: PluginUse): string[] {
  switch (use) {
    case "dry-run":
      return [];
    case "iptables":
    case "ip6tables":
      return config["ipset"] === "never" ? ["CAP_NET_ADMIN"] : ["CAP_NET_ADMIN", "CAP_NET_RAW"];
    default:
      return ["CAP_NET_ADMIN"];
  }
}

/** Whom a plugin speaks with. Of programs and plugins of others nobody knows. */
function reachOf({ use, config }: PluginUse): Needs["ip"] {
  const local = (host: unknown) => /^(localhost|127\.[\d.]+|::1|\[::1\])$/.test(String(host));
  switch (use) {
    case "nftables":
    case "iptables":
    case "ip6tables":
    case "dry-run":
    case "sqlite":
    case "memory":
    case "unix-socket":
      return "nobody";
    case "localhost-tcp":
      return "localhost";
    case "syslog":
      return /^(udp|tcp|tls):/.test(String(config["to"] ?? "")) ? "anybody" : "nobody";
    case "smtp-email":
      return local(config["host"]) ? "localhost" : "anybody";
    case "webhook":
      return local(URL.parse(String(config["url"] ?? ""))?.hostname) ? "localhost" : "anybody";
    default:
      return "anybody";
  }
}

function widest(reaches: readonly Needs["ip"][]): Needs["ip"] {
  return reaches.includes("anybody") ? "anybody" : reaches.includes("localhost") ? "localhost" : "nobody";
}

function secretsOf(uses: readonly PluginUse[], folder: string): string[] {
  const named = uses.flatMap((use) => (SECRETS[use.use] ?? []).map((key) => textOf(use, key)));
  return [...new Set(named.filter((path) => path !== undefined).map((path) => resolve(folder, path)))];
}

/** Folders below /run and /var/lib are the service manager's to make. */
function places(sockets: readonly string[], database?: string): Pick<Needs, "runtime" | "state" | "writes"> {
  const folders = [...sockets, ...(database === undefined ? [] : [database])].map((path) => dirname(path));
  const below = (root: string) => (folder: string) => folder.startsWith(`${root}/`);
  const names = (root: string) => [
    ...new Set(folders.filter(below(root)).map((folder) => folder.slice(root.length + 1))),
  ];
  const others = folders.filter((folder) => !below("/run")(folder) && !below("/var/lib")(folder));
  return { runtime: names("/run"), state: names("/var/lib"), writes: [...new Set(others)] };
}

function textOf(use: PluginUse | undefined, key: string): string | undefined {
  const value = use?.config[key];
  return typeof value === "string" ? value : undefined;
}
