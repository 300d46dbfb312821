import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { WkfsError } from "@wkfs/core";
import type { ServerConfig } from "@wkfs/core/config";
import type { Command, Definition, Role } from "./definition.ts";
import { initScripts } from "./init-scripts.ts";
import { noGateway } from "./needs.ts";

export const PLATFORMS = ["systemd", "openrc", "sysvinit", "launchd", "windows"] as const;
export type Platform = (typeof PLATFORMS)[number];

/** What is to be written. */
export interface ServiceRequest {
  readonly platform: Platform;
  /** Undefined: the halves that the configuration has. */
  readonly role: Role | undefined;
  readonly command: Command;
  /** Reads the server's configuration; not called for a client. */
  readonly config: () => Promise<ServerConfig>;
}

/** The definitions of services. Throws `CONFIG_INVALID`, also for a server where there is only a client. */
export async function serviceDefinitions({ platform, role, command, config }: ServiceRequest): Promise<Definition[]> {
  if (platform === "launchd" || platform === "windows" || role === "client")
    return await clientOf(platform, role, command);
  const server = await config();
  const roles = role === undefined ? rolesOf(server) : ([role] as const);
  if (roles.includes("gateway") && server.gateway === undefined) throw noGateway(server);
  if (roles.includes("daemon")) refuseOneFolder(server, command.dataDir);
  switch (platform) {
    case "systemd":
      return (await import("./systemd.ts")).systemdServer(server, command, roles);
    case "openrc":
      return initScripts(server, command, roles, (await import("./openrc.ts")).openrcScript);
    case "sysvinit":
      return initScripts(server, command, roles, (await import("./sysvinit.ts")).sysvinitScript);
  }
}

function rolesOf({ gateway, firewall }: ServerConfig): ("daemon" | "gateway")[] {
  return [...(firewall.length > 0 ? (["daemon"] as const) : []), ...(gateway ? (["gateway"] as const) : [])];
}

/**
 * The folder of the state becomes the daemon's user's, and root loads no plugin that lies in a folder of another: not even to take down
 * a guard. Throws `CONFIG_INVALID` where plugins are installed in it.
 */
function refuseOneFolder({ store, source }: ServerConfig, dataDir: string): void {
  const path = store?.config["path"];
  const plugins = resolve(dataDir);
  if (typeof path !== "string" || dirname(path) !== plugins || !existsSync(join(plugins, "node_modules"))) return;
  throw new WkfsError(
    "CONFIG_INVALID",
    `${source.locate(["store"])}: ${plugins} is to be the daemon's user's, and plugins are installed there, which root's commands would no longer load`,
    {
      hint: "Set `store.path` to a file in another folder, such as /var/lib/wkfs-state/wkfs.db, and run `wkfs service install` again.",
    },
  );
}

async function clientOf(platform: Platform, role: Role | undefined, command: Command): Promise<Definition[]> {
  if (role !== undefined && role !== "client") {
    throw new WkfsError("CONFIG_INVALID", `the ${role} runs on Linux, under systemd, openrc or sysvinit`, {
      hint: `On ${platform} there is a client: --role client.`,
    });
  }
  switch (platform) {
    case "systemd":
      return (await import("./systemd-user.ts")).systemdClient(command);
    case "launchd":
      return (await import("./launchd.ts")).launchdClient(command);
    case "windows":
      return (await import("./windows.ts")).windowsClient(command);
    default:
      throw new WkfsError("CONFIG_INVALID", `${platform} has no services of a user`, {
        hint: "Start `wkfs client` with your session, or use systemd.",
      });
  }
}
