import { homedir } from "node:os";
import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import * as Flags from "@oclif/core/flags";
import { clientConfigPath, serverConfigPath } from "../config-path.ts";
import { configFlag } from "../flags.ts";
import type { Command } from "./definition.ts";
import { PLATFORMS, type Platform, type ServiceRequest } from "./services.ts";

/** The flags of all commands about services. */
export const serviceFlags = {
  config: configFlag("/etc/wkfs/wkfs.yaml, of a client its own"),
  platform: Flags.option({
    options: PLATFORMS,
    description: "Whose definition (default: systemd on Linux, launchd on macOS, windows on Windows).",
  })(),
  role: Flags.option({
    options: ["daemon", "gateway", "client"] as const,
    description:
      "Which part of wkfs (default: what the server's configuration has; a client where there is no server).",
  })(),
  command: Flags.string({
    helpValue: "COMMAND",
    description: "How wkfs is started, words divided by spaces (default: the Node and the program that run now).",
  }),
};

interface ServiceFlags {
  readonly config?: string | undefined;
  readonly platform?: Platform | undefined;
  readonly role?: ServiceRequest["role"];
  readonly command?: string | undefined;
}

/** What these flags ask for. */
export async function requestOf(flags: ServiceFlags, dataDir: string): Promise<ServiceRequest> {
  const platform = flags.platform ?? platformOf(process.platform);
  const client = flags.role === "client" || platform === "launchd" || platform === "windows";
  const file = serverConfigPath(flags.config);
  const command: Command = {
    argv: flags.command?.split(" ") ?? thisProgram(platform),
    config: client ? flags.config && resolve(clientConfigPath(flags.config)) : resolve(file),
    dataDir,
    home: homedir(),
  };
  return {
    platform,
    role: client ? (flags.role ?? "client") : flags.role,
    command,
    config: async () => await (await import("@wkfs/core/config")).loadServerConfig(file),
  };
}

/** Where the services that this asks for cannot start: code in a home is not to be read by their users, nor with ProtectHome=. */
export function hiddenCode({ role, command, platform }: ServiceRequest): string | undefined {
  if (role === "client" || platform === "launchd" || platform === "windows") return undefined;
  return command.argv.find((path) => /^\/(home|root|run\/user|tmp|var\/tmp)\//.test(path));
}

function platformOf(system: NodeJS.Platform): Platform {
  return system === "darwin" ? "launchd" : system === "win32" ? "windows" : "systemd";
}

/** On another system than this one the paths are others. */
function thisProgram(platform: Platform): string[] {
  if (
    platform === platformOf(process.platform) ||
    (process.platform === "linux" && platform !== "launchd" && platform !== "windows")
  )
    return [process.execPath, realpathSync(process.argv[1] ?? "")];
  return platform === "windows" ? ["cmd.exe", "/d", "/c", "wkfs"] : ["/usr/local/bin/wkfs"];
}
