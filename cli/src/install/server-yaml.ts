import { yamlMapping, yamlValue } from "./yaml-text.ts";

export interface ServerSettings {
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
  /** Seconds. */
  readonly maxTime: number;
  readonly listen: string;
  readonly path: string;
  /** Files, absolute. */
  readonly keys: string;
  readonly secret: string;
  readonly database: string;
  readonly transportPort: number;
  /** Names of firewall plugins, and how they hang into the packet filter; undefined: by their own defaults. */
  readonly firewalls: readonly string[];
  readonly mode: "guard" | "allow";
  readonly parent: string | undefined;
  readonly chain: string | undefined;
  readonly mail: MailSettings | undefined;
}

interface MailSettings {
  readonly host: string;
  readonly port: number;
  readonly from: string;
  readonly to: readonly string[];
}

type Entry = Readonly<Record<string, string | number | readonly string[] | Readonly<Record<string, string>>>>;

/** The configuration as a value, in the shape of the file. */
export function serverValue(settings: ServerSettings) {
  const { tcp, udp, maxTime, listen, path, keys, secret, database, transportPort, mail } = settings;
  return {
    protect: { tcp, udp, maxTime },
    gateway: { listen, path, trustedProxies: [], keys },
    transport: { use: "localhost-tcp", host: "127.0.0.1", port: transportPort, secret } as Entry,
    firewall: settings.firewalls.map((use) => firewallEntry(use, settings)),
    store: { use: "sqlite", path: database } as Entry,
    notify: mail === undefined ? [] : [{ use: "smtp-email", ...mail } as Entry],
  };
}

function firewallEntry(use: string, { mode, parent, chain }: ServerSettings): Entry {
  switch (use) {
    case "nftables": {
      const [family = "", table = "", name = ""] = (parent ?? "inet filter input").split(" ");
      return {
        use,
        mode,
        ...(chain && { name: chain }),
        ...(mode === "allow" && { parent: { family, table, chain: name } }),
      };
    }
    case "iptables":
    case "ip6tables":
      return { use, mode, parent: parent ?? "INPUT", chain: chain ?? "wkfs" };
    default:
      return { use };
  }
}

/** The same value as text, with a word to whoever changes it. */
export function serverYaml(settings: ServerSettings): string {
  const { protect, gateway, transport, firewall, store, notify } = serverValue(settings);
  return `# wkfs: ports that are closed until somebody with the keys knocks.
# Check after a change, without touching the host: wkfs config check

# Closed for everybody, opened for one address at a time. A lease lasts maxTime seconds ("10m" is the same as 600)
# unless the client renews it, which it does.
protect:
  tcp: ${yamlValue(protect.tcp)}
  udp: ${yamlValue(protect.udp)}
  maxTime: ${protect.maxTime}

# What clients reach (wkfs serve). Everything but this path is a 404. Behind a web server, name its address in
# trustedProxies, or every client will seem to come from there.
gateway:
  listen: ${yamlValue(gateway.listen)}
  path: ${yamlValue(gateway.path)}
  trustedProxies: []
  keys: ${yamlValue(gateway.keys)}

# How gateway and daemon speak with each other.
transport: ${yamlMapping(transport)}

# Where leases are written (wkfs daemon). "mode: guard" closes the protected ports by itself; "allow" adds accepts only, and
# the rules of the administrator have to close the ports.
firewall:
${list(firewall)}
# What is open, remembered over restarts.
store: ${yamlMapping(store)}

# Who is told when a port was opened.
${notify.length === 0 ? "notify: []\n" : `notify:\n${list(notify)}`}`;
}

function list(entries: readonly Entry[]): string {
  return entries.map((entry) => `  - ${yamlMapping(entry)}\n`).join("");
}
