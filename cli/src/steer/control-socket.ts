import { loadServerConfig } from "@wkfs/core/config";
import { type ControlCall, controlCall } from "@wkfs/core/control";
import { WkfsError, isWkfsError } from "@wkfs/core";
import { serverConfigPath } from "../config-path.ts";

/** What `wkfs install server` writes. */
const USUAL = "/run/wkfs/control.sock";

/**
 * Where the daemon of this configuration can be asked. Who may ask it need not be able to read its configuration: the usual
 * place is tried then. Throws `CONFIG_INVALID` for a configuration without a socket.
 */
async function socketOf(flags: SocketFlags): Promise<string> {
  if (flags.socket !== undefined) return flags.socket;
  try {
    const { control, source } = await loadServerConfig(serverConfigPath(flags.config));
    if (control !== undefined) return control.path;
    throw new WkfsError(
      "CONFIG_INVALID",
      `${source.locate([])}: there is no section "control": the daemon cannot be asked`,
      {
        hint: `Add \`control: { path: ${USUAL} }\` and restart the daemon.`,
      },
    );
  } catch (error) {
    if (flags.config === undefined && isWkfsError(error) && isUnreadable(error.cause)) return USUAL;
    throw error;
  }
}

export interface SocketFlags {
  readonly config?: string | undefined;
  readonly socket?: string | undefined;
}

/** Asks the daemon one thing; what comes back is what docs/control.md says. */
export async function ask<Result>(
  flags: SocketFlags,
  op: string,
  call: Omit<ControlCall, "path" | "op"> = {},
): Promise<Result> {
  return (await controlCall({ path: await socketOf(flags), op, ...call })) as Result;
}

function isUnreadable(error: unknown): boolean {
  return error instanceof Error && "code" in error && ["ENOENT", "EACCES"].includes(String(error.code));
}
