import type { ServerConfig } from "@wkfs/core/config";
import { type Command, DAEMON_USER, DESCRIPTIONS, type Definition, GATEWAY_USER, NAMES, argvOf } from "./definition.ts";
import { daemonNeeds, gatewayNeeds } from "./needs.ts";

/** What a script in /etc/init.d is made of, for whichever program runs it. */
export interface InitScript {
  readonly role: "daemon" | "gateway";
  readonly name: string;
  readonly user: string;
  readonly description: string;
  /** What is run, word by word. */
  readonly argv: readonly string[];
  /** Where installed plugins are. */
  readonly dataDir: string;
  readonly capabilities: readonly string[];
  /** Folders that must be there, the user's: mode and path. */
  readonly folders: readonly (readonly [mode: string, path: string])[];
}

const USERS = { daemon: DAEMON_USER, gateway: GATEWAY_USER } as const;

/** One script for each half. */
export function initScripts(
  config: ServerConfig,
  command: Command,
  roles: readonly InitScript["role"][],
  text: (script: InitScript) => string,
): Definition[] {
  return roles.map((role) => {
    const { runtime, state, capabilities } =
      role === "daemon" ? daemonNeeds(config, { handsOver: false }) : gatewayNeeds(config, { handsOver: false });
    const folders = [
      ...runtime.map((folder) => ["0755", `/run/${folder}`] as const),
      ...state.map((folder) => ["0700", `/var/lib/${folder}`] as const),
    ];
    const name = NAMES[role];
    const argv = argvOf(command, role);
    const { dataDir } = command;
    return {
      path: `/etc/init.d/${name}`,
      text: text({
        role,
        name,
        user: USERS[role],
        description: DESCRIPTIONS[role],
        argv,
        dataDir,
        capabilities,
        folders,
      }),
      mode: 0o755,
    };
  });
}
