/** What an installation of a server is made of: one typed value, whether it came from flags, from a person or from a former run. */

/** A plugin's section of the configuration. */
export interface Section {
  readonly use: string;
  readonly [key: string]: unknown;
}

export interface FirewallEntry extends Section {
  readonly mode?: "guard" | "allow";
}

export interface ServerAnswers {
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
  /** Seconds. */
  readonly maxTime: number;
  readonly listen: string;
  /** Of the URL. */
  readonly path: string;
  readonly trustedProxies: readonly string[];
  /** The URL that clients use; undefined: made of `listen` and `path`. */
  readonly url: string | undefined;
  readonly transport: Section;
  readonly firewalls: readonly FirewallEntry[];
  readonly notify: readonly Section[];
  /** Undefined: the daemon has no control socket. */
  readonly control: { readonly path: string; readonly group?: string | number | undefined } | undefined;
}

/** The web servers that a snippet is printed for. */
export const WEB_SERVERS = ["nginx", "apache", "caddy"] as const;
export type WebServer = (typeof WEB_SERVERS)[number];

/** The rules that a firewall takes out of its parent. */
export function takeOutOf({ takeOut }: FirewallEntry): readonly string[] {
  return Array.isArray(takeOut) ? takeOut.map(String) : [];
}

/** A firewall's section with other rules to take out; none of them in `mode: guard`. */
export function withTakeOut(entry: FirewallEntry, rules: readonly string[]): FirewallEntry {
  const { takeOut: _, ...rest } = entry;
  return rules.length === 0 || entry.mode !== "allow" ? rest : { ...rest, takeOut: [...rules] };
}
