import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { WkfsError, isWkfsError } from "@wkfs/core";
import {
  type ConfigSource,
  checkServerConfig,
  loadClientConfig,
  loadServerConfig,
  readKeys,
  readSecret,
} from "@wkfs/core/config";
import { CLIENT_FILE, KEYS_FILE, SERVER_FILE } from "../config-path.ts";
import { writeClientConfig } from "./client-config.ts";
import { type ServerSettings, serverValue, serverYaml } from "./server-yaml.ts";
import { type NewFile, letGroupRead, makeFolder, refuseExisting, writeFiles } from "./write-files.ts";

export interface ServerInstallation {
  /** Folder of the configuration, absolute. */
  readonly folder: string;
  readonly stateDir: string;
  /** Undefined: that of a former installation, else a fresh one that nobody can guess. */
  readonly path: string | undefined;
  /** The URL that clients use. Undefined: that of a former installation, else made from `listen` and the path. */
  readonly url: string | undefined;
  readonly settings: Omit<ServerSettings, "path" | "keys" | "secret" | "database">;
  /** Group that may read configuration, keys and secret: that of an unprivileged gateway. */
  readonly gid: number | undefined;
  /** Whether a configuration that is there may be written anew. */
  readonly force: boolean;
  /** Whether keys and secret are made anew. Every client then needs the new ones. */
  readonly newKeys: boolean;
}

/** What was written, by path, and what a client needs. No secrets. */
export interface ServerInstalled {
  readonly config: string;
  readonly keys: string;
  readonly secret: string;
  readonly stateDir: string;
  readonly url: string;
  /** A folder that can be copied to a client as it is. */
  readonly client: { readonly config: string; readonly keys: string };
  /** Which of the secret files were there already and were kept. */
  readonly kept: readonly string[];
}

/** Bytes of the five keys, in the order of the PHP program's file. */
const KEY_SIZES = { key1: 32, iv1: 16, key2: 32, iv2: 16, sign: 20 } as const;

/**
 * Writes a server's configuration, keys and transport secret, and a folder for clients. Nothing is written when
 * the settings are wrong. Existing keys stay unless new ones are asked for. Throws `CONFIG_INVALID`, `SECRET_INVALID`.
 */
export async function installServer(installation: ServerInstallation): Promise<ServerInstalled> {
  const { folder, stateDir, gid, force, newKeys } = installation;
  const files = {
    config: join(folder, SERVER_FILE),
    keys: join(folder, KEYS_FILE),
    secret: join(folder, "transport.secret"),
  };
  const clientFolder = join(folder, "client");
  const former = await formerInstallation(files.config, join(clientFolder, CLIENT_FILE));
  const path = installation.path ?? former.path ?? `/${randomBytes(16).toString("hex")}`;
  const url =
    installation.url === undefined
      ? urlFor(installation.settings.listen, path, former.url)
      : withPath(installation.url, path);
  const settings = { ...installation.settings, path, ...files, database: join(stateDir, "wkfs.db") };
  await checkSettings(settings, url, folder);
  if (!force) await refuseExisting(files.config);

  const kept: string[] = [];
  const secretMode = gid === undefined ? 0o600 : 0o640;
  const secretFile = async (file: string, fresh: () => string, read: () => Promise<unknown>): Promise<NewFile[]> => {
    if (!newKeys && (await isThere(read))) {
      kept.push(file);
      return [];
    }
    return [{ path: file, text: fresh(), mode: secretMode, gid, replace: newKeys }];
  };
  // Open to all, as other folders in /etc: the gateway's user must get to the files that its group may read.
  await makeFolder(folder, 0o755);
  await makeFolder(stateDir, 0o700);
  const secrets = [
    ...(await secretFile(files.keys, freshKeys, () => readKeys(files.keys))),
    ...(await secretFile(
      files.secret,
      () => `${randomBytes(40).toString("hex")}\n`,
      () => readSecret(files.secret),
    )),
  ];
  const config = { path: files.config, text: serverYaml(settings), mode: 0o640, gid, replace: force };
  await writeFiles([...secrets, config], async (staged) => void (await loadServerConfig(staged.at(-1)!)));
  if (gid !== undefined) for (const file of kept) await letGroupRead(file, gid);
  const client = await writeClientConfig(clientFolder, { url }, `${await readSecret(files.keys)}\n`, {
    origin: files.keys,
    replace: true,
  });
  return { ...files, stateDir, url, client, kept };
}

function freshKeys(): string {
  const keys = Object.entries(KEY_SIZES).map(([name, size]) => [name, randomBytes(size).toString("hex")]);
  return `${JSON.stringify(Object.fromEntries(keys), null, 2)}\n`;
}

/** Only a file that is missing is made: one that cannot be read or has the wrong mode is an error. */
async function isThere(read: () => Promise<unknown>): Promise<boolean> {
  try {
    await read();
    return true;
  } catch (error) {
    const cause = error instanceof WkfsError ? error.cause : undefined;
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return false;
    throw error;
  }
}

/** The path and URL that clients know already. A former configuration that is not valid has none. */
async function formerInstallation(
  config: string,
  client: string,
): Promise<{ path: string | undefined; url: string | undefined }> {
  const server = await loadServerConfig(config).catch(() => undefined);
  const knocker = await loadClientConfig(client).catch(() => undefined);
  return { path: server?.gateway?.path, url: knocker?.url };
}

/** A URL without a path names the host alone; the gateway is at its path there. */
function withPath(url: string, path: string): string {
  const parsed = URL.parse(url);
  return parsed?.pathname === "/" ? new URL(path, parsed).href : url;
}

function urlFor(listen: string, path: string, former: string | undefined): string {
  if (former !== undefined && new URL(former).pathname.endsWith(path)) return former;
  if (!listen.startsWith("unix:")) return `http://${listen}${path}`;
  throw new WkfsError("CONFIG_INVALID", "which URL do clients use? A gateway on a Unix socket has none of its own", {
    hint: `Give the one of the web server before it, such as --url https://www.example.org${path}`,
  });
}

async function checkSettings(settings: ServerSettings, url: string, folder: string): Promise<void> {
  try {
    if (!/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
      throw new WkfsError(
        "CONFIG_INVALID",
        `--url: ${JSON.stringify(url)} is no URL that begins with http:// or https://`,
      );
    }
    await checkServerConfig(serverValue(settings), flagsSource, folder);
  } catch (error) {
    if (!isWkfsError(error)) throw error;
    const hint = "Nothing was written. `wkfs install server --help` shows what this flag takes.";
    throw new WkfsError(error.code, error.message, { hint, cause: error });
  }
}

const FLAGS: Readonly<Record<string, string>> = {
  "protect.tcp": "--tcp",
  "protect.udp": "--udp",
  "protect.maxTime": "--max-time",
  protect: "--tcp and --udp",
  "gateway.listen": "--listen",
  "gateway.path": "--path",
};

/** Errors in what came from flags name the flag. */
const flagsSource: ConfigSource = {
  locate(path) {
    for (let length = path.length; length > 0; length -= 1) {
      const flag = FLAGS[path.slice(0, length).join(".")];
      if (flag !== undefined) return flag;
    }
    return "flags";
  },
};
