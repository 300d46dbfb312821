/** A file that makes a service. */
export interface Definition {
  /** Where it belongs, absolute. */
  readonly path: string;
  readonly text: string;
  readonly mode: number;
}

export type Role = "daemon" | "gateway" | "client";

/** How wkfs is started. */
export interface Command {
  /** A program and its first arguments, absolute: Node and our script. */
  readonly argv: readonly string[];
  /** The configuration of the role, absolute; undefined: where the role looks by itself. */
  readonly config: string | undefined;
  /** Where installed plugins are. */
  readonly dataDir: string;
  /** Home of the user whose client it is. */
  readonly home: string;
}

/** The users that the halves run as. The daemon is in the gateway's group, since what that one may read it may read too. */
export const DAEMON_USER = "wkfs";
export const GATEWAY_USER = "wkfs-gateway";

/** Names of the units, and of the scripts of other service managers. */
export const NAMES = { daemon: "wkfs-daemon", gateway: "wkfs-gateway", client: "wkfs-client" } as const;

/** What a service list shows of them. */
export const DESCRIPTIONS = {
  daemon: "wkfs daemon: opens protected ports for who has knocked",
  gateway: "wkfs gateway: takes knocks over HTTP and passes them to the daemon",
  client: "wkfs client: knocks, and keeps ports open",
} as const;

const WORDS = { daemon: ["daemon"], gateway: ["serve"], client: ["client"] } as const;

/** The words of a role's command line. */
export function argvOf({ argv, config }: Command, role: Role): string[] {
  return [...argv, ...WORDS[role], ...(config === undefined ? [] : ["--config", config])];
}

/** A word of a shell's command line. */
export function shellWord(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

export function xmlText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
